"""The action ``run("dbt run")`` beside those of the desktop: a command with what it prints, in a folder that lasts."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from lbi.benchmarks.spider2v.steps import Steps
from lbi.environments.desktop.actions import ACTIONS as DESKTOP_ACTIONS
from lbi.environments.shell.actions import UnreadableCommand, parse_command
from lbi.environments.shell.consequences import why_it_may_change
from lbi.protocols import Foreseen
from lbi.records import Action, sound
from lbi.storage.secrets import mask

ACTIONS = DESKTOP_ACTIONS.replace(
    "wait()      ",
    'run("ls ~/projects")  run a command as in the terminal and see what it prints; cd carries over to the next one\n'
    "wait()      ",
    1,
)
SECONDS = 240.0
MOST_LINES, LONGEST = 60, 300
BEGIN = 'cd && cd "$(cat /tmp/.terminal-folder 2>/dev/null)"'  # where the task's terminal was opened, else at home
WHERE = "\x1e"  # stands before the folder in which a command ended
_RUN = re.compile(r"(?<![\w.])run\s*\(")
_OTHER = re.compile(r"(?<![\w.])(?:click|fill|type|press|drag|scroll|open|python|wait|finish)\s*\(")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1d\x1f]")


@dataclass(frozen=True)
class Run:
    """A command that an action says."""

    value: str
    text: str
    changes: str

    @property
    def action(self) -> Action:
        return Action(text=mask(sound(self.text)), kind="run", value=mask(sound(self.value)))

    @property
    def foreseen(self) -> Foreseen:
        return Foreseen(action=self.action, changes=mask(sound(self.changes)))


def command_in(action: str) -> Run | None:
    """The command, where the first action of the text is one; None for any other action."""
    found, other = _RUN.search(action), _OTHER.search(action)
    if found is None or (other is not None and other.start() < found.start()):
        return None
    try:
        command = parse_command(action[found.start() :])
    except UnreadableCommand:
        return None
    return Run(command.value, command.text, why_it_may_change(command))


class Terminal:
    """Runs commands one by one, each in a shell of its own that begins as a terminal's does."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._folder = ""  # where the last command ended

    async def run(self, command: str) -> tuple[list[str], str]:
        """(lines for the agent, why it did not end). Raises DesktopEnded, DesktopRefused."""
        begin = f"cd {shlex.quote(self._folder)}" if self._folder else BEGIN
        script = f"{begin}\n{command}\ncode=$?\nprintf '\\n{WHERE}%s' \"$PWD\"\nexit $code"
        done = await self._steps.run(["bash", "-c", f". ~/.bashrc >/dev/null 2>&1\n{script}"], SECONDS)
        output, told, folder = done["output"].rpartition(f"\n{WHERE}")
        output = output if told else done["output"]
        self._folder = folder if told else self._folder
        lines = [*_lines(output), *_lines(done["errors"])]
        if len(lines) > MOST_LINES:
            half = MOST_LINES // 2
            lines = [*lines[:half], f"... {len(lines) - 2 * half} lines left out ...", *lines[-half:]]
        code = done["exit_code"]
        head = f"folder {self._folder or '~'}, exit code {'none' if code is None else code}"
        error = f"the command did not end within {SECONDS:.0f} s and was stopped" if code is None else ""
        return [head, *(f"| {line}" for line in lines)], error


def _lines(output: str) -> list[str]:
    return [line.rstrip()[:LONGEST] for line in _CONTROL.sub("", output).splitlines() if line.strip()]
