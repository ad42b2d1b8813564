"""Runs OSWorld's getters and metrics as they are, for one task: judge.py REQUEST VERDICT, both files of JSON.

It runs in a sandbox, in an interpreter that has their packages, and loads the standard library only besides them. Their
packages' own ``__init__`` files would load everything at once, torch too, so each module is loaded singly; of what is
not installed there is a stand-in that says so when it is used. Asks the desktop by the protocol of OSWorld's machines.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import sys
import traceback
import types
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ROOT = "desktop_env"
Json = dict[str, Any]


class NotInstalled(Exception):
    """A package that an evaluator uses is not in this interpreter."""


class _StandIn(type):
    """A class that any name of a missing package is, until it is used."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(cls.__module__)

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        raise NotInstalled(f"needs the package {cls.__module__.partition('.')[0]}, which is not installed")


def _stand_in(module: str) -> Any:
    return _StandIn("StandIn", (), {"__module__": module})


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(self.__name__)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of the packages that are not there."""

    def __init__(self, packages: list[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = _Module(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


def open_packages(folder: str) -> None:
    """Their packages, without what the ``__init__`` files of these load."""
    for name in (ROOT, f"{ROOT}.evaluators", f"{ROOT}.evaluators.getters", f"{ROOT}.evaluators.metrics"):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(folder, *name.split(".")[1:])]
        sys.modules[name] = module


class Machine:
    """What getters are given: where the desktop is asked, and a folder with the files that they keep and compare."""

    def __init__(self, request: Json) -> None:
        self.vm_ip, self.server_port = "127.0.0.1", request["port"]
        self.chromium_port, self.vlc_port = 9222, 8080
        self.vm_platform, self.vm_machine = "Linux", "x86_64"
        self.cache_dir = request["cache"]
        self.current_use_proxy = self.enable_proxy = False
        self.vm_screen_size = request["screen"]
        self.controller: Any = Controller(f"http://{self.vm_ip}:{self.server_port}")
        if request["controller"]:
            theirs = importlib.import_module(f"{ROOT}.controllers.python")
            self.controller = theirs.PythonController(self.vm_ip, self.server_port)
            self.controller.retry_times, self.controller.retry_interval = 1, 0.5  # nothing is lost on the way here


class Controller:
    """For evaluators that come without their own: what most getters ask."""

    def __init__(self, root: str) -> None:
        self._root = root

    def _post(self, path: str, data: bytes, kind: str) -> bytes:
        with urlopen(Request(self._root + path, data, {"Content-Type": kind}), timeout=120) as response:
            content: bytes = response.read()
        return content

    def get_file(self, path: str) -> bytes | None:
        try:
            return self._post("/file", urlencode({"file_path": path}).encode(), "application/x-www-form-urlencoded")
        except HTTPError:
            return None

    def execute_python_command(self, command: str) -> Any:
        words = ["python", "-c", f"import pyautogui; import time; {command}"]
        return json.loads(self._post("/execute", json.dumps({"command": words}).encode(), "application/json"))


class Tried:
    """``with Tried() as tried:`` keeps what somebody else's program raised, whatever it is, but for NotInstalled."""

    error: BaseException | None = None

    def __enter__(self) -> Tried:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        self.error = error
        return isinstance(error, Exception) and not isinstance(error, NotInstalled)


def score_of(metric: Any, given: list[Any], options: Json) -> tuple[float, str]:
    """(score, what there is to say of it). Raises what the metric raises, but for a file that only an agent spoilt.

    A metric that reads its own reference and not the file that it is compared with is whole, and the file is not.
    Else whoever saves what no program opens would be in no rate.
    """
    with Tried() as tried:
        return float(metric(*given, **options)), ""
    assert tried.error is not None
    if len(given) < 2 or not are_files(given[1]):
        raise tried.error
    with Tried() as again:
        float(metric(given[1], given[1], **options))
    if again.error is not None:
        raise tried.error
    return 0.0, f"cannot read what is to be judged ({type(tried.error).__name__}: {tried.error})"[:400]


def are_files(value: Any) -> bool:
    paths = value if isinstance(value, list | tuple) else [value]
    return bool(paths) and all(isinstance(path, str) and os.path.isfile(path) for path in paths)


def judge(machine: Machine, evaluator: Json, functions: Json) -> tuple[float, str]:
    """The score, by the rules of the official runner. ``functions`` says in which module each function is."""
    several = isinstance(evaluator["func"], list)
    names = evaluator["func"] if several else [evaluator["func"]]
    parts = {part: _parts(evaluator.get(part), several, len(names)) for part in ("result", "expected", "options")}
    every = evaluator.get("conj", "and") == "and"
    scores: list[float] = []
    for number, name in enumerate(names):
        metric = load("metrics", functions, name)
        try:
            given = [look_up(machine, functions, parts["result"][number])]
        except FileNotFoundError:
            if every or not several:
                return 0.0, "a file that it is judged by is not there"
            scores.append(0.0)
            continue
        given += [look_up(machine, functions, parts["expected"][number])] if evaluator.get("expected") else []
        score, why = score_of(metric, given, parts["options"][number] or {})
        scores.append(score)
        if every and score == 0.0:
            return 0.0, f"{name} {why or 'does not hold'}"
        if not every and scores[-1] == 1.0:
            return 1.0, f"{name} holds"
    joined = sum(scores) / len(scores) if every else max(scores)
    return joined, "; ".join(f"{name}: {each:g}" for name, each in zip(names, scores, strict=True))


def _parts(part: Any, several: bool, number: int) -> list[Any]:
    if several:
        return part if isinstance(part, list) and part else [None] * number
    return [part or None]


def look_up(machine: Machine, functions: Json, getter: Json | None) -> Any:
    if not getter:
        return None
    return load("getters", functions, "get_" + getter["type"])(machine, getter)


def load(kind: str, functions: Json, name: str) -> Any:
    module, function = functions[kind][name]
    return getattr(importlib.import_module(f"{ROOT}.evaluators.{kind}.{module}"), function)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sys.meta_path.append(StandIns(request["missing"]))
    open_packages(request["evaluators"])
    sys.excepthook = raised
    score, reason = judge(Machine(request), request["evaluator"], request["functions"])
    say({"score": score, "reason": reason})


def raised(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """What another's program raised, whatever it is."""
    if isinstance(error, NotInstalled):
        say({"lacks": str(error)})
        return
    where = traceback.extract_tb(trace)[-1]
    say({"raised": f"{kind.__name__}: {error}"[:400], "where": f"{where.name} ({os.path.basename(where.filename)})"})


def say(verdict: Json) -> None:
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(verdict, file)


if __name__ == "__main__":
    main()
