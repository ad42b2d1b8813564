"""A fake environment in memory: notes that can be made, archived and deleted."""

from __future__ import annotations

from lbi.environments.web.actions import Call, UnreadableAction, parse_action
from lbi.errors import EnvironmentFailure
from lbi.protocols import Outcome
from lbi.records import Action, Observation, Step, Task, Trajectory, digest_of

Element = tuple[str, str, str]  # role, name, where it leads or what it does


class NotesEnvironment:
    """References and relative times change with every observation, as they do in real applications."""

    name = "desk"
    actions = "click, fill, goto, finish"

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken  # the server is down
        self.notes: list[str] = []
        self.looks = 0
        self._enter("/")

    def _enter(self, url: str) -> None:
        self.url, self.title, self.unfolded = url, "", False

    async def reset(self, task: Task) -> Observation:
        self.notes = ["Buy milk"]
        self._enter(task.start_url or "/")
        return self._look()

    async def step(self, action: str) -> Outcome:
        if self.broken:
            raise EnvironmentFailure("the desk is gone")
        try:
            call = parse_action(action)
        except UnreadableAction as error:
            return Outcome(action=Action(text=action), observation=self._look(str(error)))
        if call.kind == "finish":
            done = Action(text=action, kind="finish", value=call.value)
            return Outcome(action=done, observation=self._look(), done=True, answer=call.value)
        return self._do(action, call)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return 0.0, "the desk scores nothing"

    async def close(self) -> None:
        pass

    def _do(self, text: str, call: Call) -> Outcome:
        if call.kind == "goto":
            self._enter(call.value)
            return Outcome(action=Action(text=text, kind="goto", value=call.value), observation=self._look())
        target = call.target
        hit = next((e for e in self._elements() if target and e[:2] == (target.role, target.name)), None)
        if hit is None:
            return Outcome(action=Action(text=text, kind=call.kind), observation=self._look("there is no such element"))
        if call.kind == "fill":
            self.title = call.value
        else:
            self._click(hit[2])
        done = Action(text=text, kind=call.kind, role=hit[0], name=hit[1], value=call.value)
        return Outcome(action=done, observation=self._look())

    def _click(self, effect: str) -> None:
        if effect.startswith("/"):
            self._enter(effect)
        elif effect == "save" and self.title:
            self.notes.append(self.title)
            self._enter("/notes")
        elif effect == "delete":
            del self.notes[int(self.url.rpartition("/")[2])]
            self._enter("/notes")
        elif effect == "unfold":
            self.unfolded = True
        elif effect == "archive":
            at = int(self.url.rpartition("/")[2])
            self.notes[at] += " (archived)"

    def _elements(self) -> list[Element]:
        if self.url == "/notes":
            notes = [("link", note, f"/notes/{at}") for at, note in enumerate(self.notes)]
            return [("link", "Home", "/"), ("link", "New note", "/notes/new"), *notes]
        if self.url == "/notes/new":
            return [("link", "Home", "/"), ("textbox", "Title", ""), ("button", "Save", "save")]
        if self.url.startswith("/notes/"):
            more = ("button", "Archive", "archive") if self.unfolded else ("button", "More", "unfold")
            return [("link", "Home", "/"), ("button", "Delete", "delete"), more]
        return [("link", "Notes", "/notes"), ("link", "Help", "/help")]

    def _look(self, error: str = "") -> Observation:
        self.looks += 1
        lines = [
            f'{role} "{name}" [e{self.looks + at}]' + (f": {self.title}" if role == "textbox" else "")
            for at, (role, name, _) in enumerate(self._elements())
        ]
        text = "\n".join([*lines, f"text: shown {self.looks} seconds ago"])
        state = digest_of(self.notes)
        return Observation(text=text, url=self.url, title=f"Desk {self.url}", digest=state, error=error)


async def walk(instruction: str, *actions: str, document: str = "", start_url: str = "") -> Trajectory:
    """The trajectory of these actions in a fresh environment."""
    environment = NotesEnvironment()
    task = Task(instruction=instruction, environment="desk", document=document, start_url=start_url)
    seen = await environment.reset(task)
    steps = []
    for action in actions:
        outcome = await environment.step(action)
        steps.append(Step(observation=seen, reason=f"to {instruction}", action=outcome.action))
        seen = outcome.observation
    return Trajectory(task=task, agent="test", steps=tuple(steps), last=seen, stop="done")


NOTES, NEW, SAVE = """click('link "Notes"')""", """click('link "New note"')""", """click('button "Save"')"""
HOME, HELP, DELETE = """click('link "Home"')""", """click('link "Help"')""", """click('button "Delete"')"""
MORE, ARCHIVE, MILK = """click('button "More"')""", """click('button "Archive"')""", """click('link "Buy milk"')"""


def title(text: str) -> str:
    return f"""fill('textbox "Title"', "{text}")"""
