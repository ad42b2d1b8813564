"""A private desktop as an environment: programs with windows, seen by their accessibility tree (paper: OSWorld).

`DesktopEnvironments` holds what the workers share: the pristine home folder. Each worker's `DesktopEnvironment` holds a
desktop of its own, which is thrown away after every episode.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from lbi.documents.corpus import DocumentSource
from lbi.environments._answers import failed_command, met_without_pages
from lbi.environments.desktop.actions import ACTIONS, Call, UnreadableAction, parse_action
from lbi.environments.desktop.application import Desktop, load_desktop
from lbi.environments.desktop.digests import Digests
from lbi.environments.desktop.home import pristine_home
from lbi.environments.desktop.marks import marked
from lbi.environments.desktop.perform import changes, strokes_for, unfit
from lbi.environments.desktop.session import (
    HOME,
    LIMITS,
    DesktopEnded,
    DesktopRefused,
    DesktopSession,
    require_packages,
    start_desktop,
)
from lbi.environments.desktop.targets import NotFound, Place, cell_named, place_of
from lbi.environments.desktop.tree import View, view_of
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.observations.parse import parse_observation
from lbi.observations.render import render
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Action, Observation, Task, digest_of, sound
from lbi.sandbox.protocol import SandboxLimits
from lbi.sandbox.supervisor.bounds import TooLarge
from lbi.storage.secrets import mask

MAX_CHARS = 12_000
MAX_OUTPUT = 4_000  # characters of what a snippet prints
STARTING = 40.0  # seconds for a program to show a window
SETTLING = 6.0  # seconds for the desktop to come to rest after an action
ENDING = 6.0  # seconds for programs to finish what they still work at as an episode ends, such as a file
SNIPPET = 60.0  # seconds for a snippet, and for a check's command
TOO_LARGE = digest_of("too large")  # stands for the state of files that exceed a bound


def masked(text: str) -> str:
    return mask(sound(text))


class DesktopEnvironments:
    """Opens environments of one desktop: a name, a path, or what such a file says."""

    restores = True

    def __init__(
        self,
        desktop: Desktop | str,
        *,
        screenshots: bool = False,
        save_image: Callable[[bytes], str] | None = None,
        limits: SandboxLimits = LIMITS,
        max_chars: int = MAX_CHARS,
        cache: Path | None = None,
    ) -> None:
        """``cache`` is where pristine home folders are kept; None = in the user's cache folder.

        Raises UserError for a desktop that there is not, and for what it needs and is not installed.
        """
        self.desktop = load_desktop(desktop) if isinstance(desktop, str) else desktop
        require_packages(self.desktop)
        self.name = self.desktop.name
        self.limits, self.max_chars = limits, max_chars
        self.save_image = save_image if screenshots else None
        self.timeouts = CallTimeouts(reset=2 * STARTING + 60, step=limits.wall_seconds + 60, score=3 * SNIPPET)
        self._home: Path | None = None
        self._cache = cache
        self._making = asyncio.Lock()
        self._open: list[DesktopEnvironment] = []
        self._could_start = False

    async def home(self) -> Path:
        """The pristine home folder, made when it is asked for first."""
        async with self._making:
            if self._home is None:
                self._home = await pristine_home(self.desktop, self._cache)
        return self._home

    async def open(self) -> DesktopEnvironment:
        """A new environment. Raises UserError where no desktop can be made, EnvironmentFailure where one could be."""
        home = await self.home()
        try:
            session = await start_desktop(self.desktop, home, self.limits)
        except UserError as error:
            if not self._could_start:
                raise
            raise EnvironmentFailure(str(error), kind="sandbox") from None
        self._could_start = True
        environment = DesktopEnvironment(self, session)
        self._open.append(environment)
        return environment

    @property
    def documents(self) -> tuple[DocumentSource, ...]:
        return self.desktop.manuals

    async def close(self) -> None:
        await asyncio.gather(*(environment.close() for environment in self._open))
        self._open.clear()


class DesktopEnvironment:
    """One episode at a time on one desktop."""

    actions = ACTIONS

    def __init__(self, environments: DesktopEnvironments, session: DesktopSession) -> None:
        self.name = environments.name
        self.session = session
        self._environments = environments
        self._desktop = environments.desktop
        self._digests = Digests(environments.desktop)
        self._used = False
        self._view = View()
        self._refs: dict[str, str] = {}
        self._notes: list[str] = []  # of the last action, for the next observation
        self.last = Observation(text="")

    # -- the protocol ------------------------------------------------------------------------------------------------

    async def reset(self, task: Task) -> Observation:
        """A fresh desktop with what the task begins with open. Raises EnvironmentFailure."""
        start = task.start_url or self._desktop.start
        for attempt in (1, 2):
            if self._used:
                await self.session.reset()
            self._used = True
            try:
                if start:
                    await self._start(start)
                return await self._observe()
            except (DesktopRefused, DesktopEnded) as error:  # before an agent has done anything: not its doing
                if attempt == 2:
                    message = f"the desktop did not begin with {start or 'nothing'}: {error}"
                    raise EnvironmentFailure(message, kind="sandbox") from None
        raise AssertionError

    async def step(self, action: str) -> Outcome:
        """Carry out one action. Why one cannot be carried out stands in the observation's ``error``."""
        try:
            call = parse_action(action)
        except UnreadableAction as error:
            return self._refuse(Action(text=masked(action)), str(error))
        if call.kind == "finish":
            done = Action(text=masked(action), kind="finish", value=masked(call.value))
            async with self._agents_fault():  # whatever is looked at next is what programs have written by now
                await self.session.ask("settle", seconds=ENDING, working=ENDING)
            return Outcome(action=done, observation=self.last, done=True, answer=call.value)
        async with self._agents_fault() as fault:
            try:
                place, onto = await self._places(call)
            except NotFound as error:
                return self._refuse(self._action(action, call, None, None), str(error))
            if why := unfit(call, place):
                return self._refuse(self._action(action, call, place, None), why)
            taken = self._action(action, call, place, onto)
            return Outcome(action=taken, observation=await self._observe(await self._carry_out(call, place, onto)))
        taken = self._action(action, call, None, None)
        return Outcome(action=taken, observation=await self._observe(f"the desktop was started again: {fault[0]}"))

    async def look(self, *notes: str) -> Observation:
        """The desktop as it is now, for who does something on it by another way than an action."""
        self._notes += notes
        return await self._observe()

    async def foresee(self, action: str) -> Foreseen:
        """What an action would be done to, and why it may change something; carries nothing out."""
        try:
            call = parse_action(action)
            place = (
                place_of(call.target, parse_observation(self.last.text), self._refs, self._view)
                if call.target
                else None
            )
        except (UnreadableAction, NotFound):
            return Foreseen(action=Action(text=masked(action)))
        return Foreseen(action=self._action(action, call, place, None), changes=masked(changes(call, place)))

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Evaluate the task's check now: what the answer contains, and a command that must exit with 0."""
        if task.check is None:
            raise ScoreError(f"task {task.name or task.id} has no check")
        return await met_without_pages(task.check, answer, "a desktop", self._run_check)

    async def close(self) -> None:
        """End everything that runs; harmless when done before."""
        await self.session.close()

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _places(self, call: Call) -> tuple[Place | None, Place | None]:
        """Raises NotFound."""
        page = parse_observation(self.last.text)
        found: list[Place | None] = []
        for target in (call.target, call.onto):
            if target is None:
                found.append(None)
                continue
            try:
                found.append(place_of(target, page, self._refs, self._view))
            except NotFound:
                name = cell_named(target)
                if not name or self._view.sheet is None:
                    raise
                found.append(await self._cell(name))
        return found[0], found[1]

    async def _cell(self, name: str) -> Place:
        """A cell that holds nothing or is not in view, which is not listed. Raises NotFound."""
        sheet = self._view.sheet or {}
        try:
            found = await self.session.ask("cell", to=sheet["to"], path=sheet["path"], name=name, box=sheet["said"])
        except DesktopRefused as error:
            raise NotFound(f"there is no cell {name} in view: {error}; scroll there first") from None
        left, top, width, height = found["box"]
        moved = [new - old for new, old in zip(sheet["box"], sheet["said"], strict=True)]
        return Place(left + moved[0] + width // 2, top + moved[1] + height // 2, "cell", name)

    async def _carry_out(self, call: Call, place: Place | None, onto: Place | None) -> str:
        """Why it could not be carried out; "" if it was."""
        try:
            if call.kind == "open":
                return await self._open(call)
            if call.kind == "python":
                return await self._snippet(call.value)
            if call.kind == "wait":
                if not (await self.session.ask("wait"))["changed"]:
                    self._notes.append("nothing changed by itself")
                return ""
            await self.session.ask("act", strokes=strokes_for(call, place, onto), seconds=SETTLING)
        except DesktopRefused as refused:
            return str(refused)
        return ""

    async def _open(self, call: Call) -> str:
        program = self._desktop.find(call.value)
        if program is None:
            return f"there is no program {call.value!r}; there are: {', '.join(p.name for p in self._desktop.program)}"
        path = [posixpath.join(HOME, call.file)] if call.file else []
        await self.session.ask("open", name=program.name, command=[*program.command, *path], seconds=STARTING)
        return ""

    async def _snippet(self, code: str) -> str:
        done = await self.session.ask(
            "run", command=["python3", "-B", "-c", f"import pyautogui, time\n{code}"], seconds=SNIPPET
        )
        await self.session.ask("settle", seconds=SETTLING)
        output = done["output"].strip()[-MAX_OUTPUT:]
        if done["exit_code"]:
            return f"the snippet failed: {output}"
        self._notes += [f"the snippet printed: {' '.join(output.split())}"] if output else []
        return "the snippet did not end in time and was stopped" if done["exit_code"] is None else ""

    async def _start(self, start: str) -> None:
        """Open what an address such as /PROGRAM/FILE names. Raises DesktopRefused."""
        name, _, file = start.strip("/").partition("/")
        if self._desktop.find(name) is None:
            known = ", ".join(program.name for program in self._desktop.program)
            raise DesktopRefused(f"there is no program {name!r} on this desktop; there are: {known}")
        if file and not (await self._environments.home() / file).exists():
            raise DesktopRefused(f"there is no file {file} in its home folder")
        if problem := await self._open(Call("open", value=name, file=file)):
            raise DesktopRefused(problem)

    # -- looking -----------------------------------------------------------------------------------------------------

    async def _observe(self, error: str = "") -> Observation:
        told = await self.session.ask("look")
        self._view = view_of(told)
        text, self._refs = render(self._view.tree, limit=self._environments.max_chars)
        for pattern in self._desktop.unsaid:
            text = re.sub(pattern, "", text)
        notes = [f"note: {note}" for note in (*self._notes, *filter(None, [self._view.note]))]
        self._notes.clear()
        title = " ".join(self._view.title.split())
        head = [f"Title: {title}"] if title else ["note: no window is open; start a program: " + self._programs()]
        try:
            digest = await self._digests.of(self.session.sandbox)
        except TooLarge as large:
            digest, error = TOO_LARGE, "; ".join(filter(None, (error, f"{large}; remove what is not needed")))
        self.last = Observation(
            text=masked("\n".join([*head, *notes, text]).rstrip()),
            title=masked(title),
            digest=digest,
            error=masked(error),
            image=await self._picture(),
        )
        return self.last

    def _programs(self) -> str:
        return ", ".join(f'open("{p.name}")' + (f" = {p.about}" if p.about else "") for p in self._desktop.program)

    async def _picture(self) -> str:
        save = self._environments.save_image
        # away from the event loop: object storage may take its time, and other episodes go on
        return await asyncio.to_thread(save, await self.session.picture()) if save is not None else ""

    async def screenshot(self, *, marks: bool = False) -> bytes:
        """A PNG of the screen; with ``marks``, a box and a name at each reference of the last observation."""
        png = await self.session.picture()
        if not marks:
            return png
        boxes = {ref: self._view.places[place] for ref, place in self._refs.items()}
        return await asyncio.to_thread(marked, png, boxes)

    def _refuse(self, action: Action, error: str) -> Outcome:
        """Nothing was done: the last observation again, with the reason."""
        self.last = self.last.model_copy(update={"error": masked(error)})
        return Outcome(action=action, observation=self.last)

    def _action(self, text: str, call: Call, place: Place | None, onto: Place | None) -> Action:
        if call.kind in ("open", "python"):
            return Action(text=masked(call.text), kind=call.kind, name=masked(call.value), value=masked(call.file))
        target = call.target
        role, name, nth = (place.role, place.name, place.nth) if place else ("", "", 0)
        if place is None and target is not None:
            role, name, nth = target.role, target.name, target.nth
        value = onto.grounded if onto else call.value
        if call.kind == "drag" and place is None and call.value:  # along points
            (role, name), value = ("point", call.value.split()[0]), f'point "{call.value.split()[-1]}"'
        return Action(text=masked(text), kind=call.kind, role=role, name=masked(name), nth=nth, value=masked(value))

    # -- whose fault -------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _agents_fault(self) -> AsyncIterator[list[str]]:
        """What the agent started has ended the desktop: it goes on with a fresh one and the files that there are."""
        why: list[str] = []
        try:
            yield why
        except DesktopEnded as ended:
            why.append(str(ended))
        except DesktopRefused as refused:  # it cannot be looked at any more, as its display was ended
            why.append(str(refused))
            with contextlib.suppress(DesktopEnded):
                await self.session.ask("end")

    # -- scoring -----------------------------------------------------------------------------------------------------

    async def _run_check(self, command: Sequence[str]) -> tuple[float, str]:
        try:
            done = await self.session.ask("run", command=[*command], seconds=SNIPPET)
        except (DesktopEnded, DesktopRefused) as ended:  # it reads what the agent made, which must not unscore itself
            return 0.0, f"the check's command did not end by itself: {ended}"
        if done["exit_code"] is None:
            return 0.0, "the check's command did not end by itself: it ran out of time and was stopped"
        failed = failed_command(done["exit_code"], done["output"])
        return (0.0, failed) if failed else (1.0, "every condition holds")
