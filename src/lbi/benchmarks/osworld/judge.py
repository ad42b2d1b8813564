"""Runs OSWorld's getters and metrics as they are, for one task: judge.py REQUEST VERDICT, both files of JSON.

It runs in a sandbox, in an interpreter that has their packages, and loads the standard library only besides them. Their
packages' own ``__init__`` files would load everything at once, torch too, so each module is loaded singly; of what is
not installed there is a stand-in that says so when it is used. Asks the desktop by the protocol of OSWorld's machines.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import sys
import traceback
import types

ROOT = "desktop_env"


class NotInstalled(Exception):
    """A package that an evaluator uses is not in this interpreter."""


class _StandIn(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(cls.__module__)

    def __call__(cls, *arguments, **named):
        raise NotInstalled(f"needs the package {cls.__module__.partition('.')[0]}, which is not installed")


def _stand_in(module):
    return _StandIn("StandIn", (), {"__module__": module})


class _Module(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(self.__name__)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules of the packages that are not there."""

    def __init__(self, packages):
        self.packages = frozenset(packages)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def open_packages(folder):
    """The packages of theirs without what their ``__init__`` files load."""
    for name in (ROOT, f"{ROOT}.evaluators", f"{ROOT}.evaluators.getters", f"{ROOT}.evaluators.metrics"):
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(folder, *name.split(".")[1:])]
        sys.modules[name] = module


class Machine:
    """What getters are given: where the desktop is asked, and a folder with the files that they keep and compare."""

    def __init__(self, request):
        controllers = importlib.import_module(f"{ROOT}.controllers.python") if request["controller"] else None
        self.vm_ip, self.server_port = "127.0.0.1", request["port"]
        self.chromium_port, self.vlc_port = 9222, 8080
        self.vm_platform, self.vm_machine = "Linux", "x86_64"
        self.cache_dir = request["cache"]
        self.current_use_proxy = self.enable_proxy = False
        self.vm_screen_size = request["screen"]
        self.controller = (
            controllers.PythonController(self.vm_ip, self.server_port) if controllers else Controller(self)
        )
        self.controller.retry_times, self.controller.retry_interval = 1, 0.5  # nothing is lost on the way here


class Controller:
    """For evaluators that come without their own: what most getters ask."""

    def __init__(self, machine):
        self._root = f"http://{machine.vm_ip}:{machine.server_port}"

    def _post(self, path, data, kind):
        from urllib.request import Request, urlopen

        with urlopen(Request(self._root + path, data, {"Content-Type": kind}), timeout=120) as response:
            return response.read()

    def get_file(self, path):
        from urllib.error import HTTPError
        from urllib.parse import urlencode

        try:
            return self._post("/file", urlencode({"file_path": path}).encode(), "application/x-www-form-urlencoded")
        except HTTPError:
            return None

    def execute_python_command(self, command):
        words = ["python", "-c", f"import pyautogui; import time; {command}"]
        return json.loads(self._post("/execute", json.dumps({"command": words}).encode(), "application/json"))


def judge(machine, evaluator, functions):
    """The score, by the rules of the official runner. ``functions`` says in which module each function is."""
    several = isinstance(evaluator["func"], list)
    names = evaluator["func"] if several else [evaluator["func"]]
    metrics = [load("metrics", functions, name) for name in names]
    looked_up = {part: _parts(evaluator.get(part), several, len(names)) for part in ("result", "expected", "options")}
    every = evaluator.get("conj", "and") == "and"
    scores = []
    for number, metric in enumerate(metrics):
        wanted, found, options = (looked_up[part][number] for part in ("expected", "result", "options"))
        try:
            state = look_up(machine, functions, found)
        except FileNotFoundError:
            if every or not several:
                return 0.0, "a file that it is judged by is not there"
            scores.append(0.0)
            continue
        given = (state, look_up(machine, functions, wanted)) if evaluator.get("expected") else (state,)
        scores.append(float(metric(*given, **(options or {}))))
        if every and scores[-1] == 0.0:
            return 0.0, f"{names[number]} does not hold"
        if not every and scores[-1] == 1.0:
            return 1.0, f"{names[number]} holds"
    score = sum(scores) / len(scores) if every else max(scores)
    return score, "; ".join(f"{name}: {each:g}" for name, each in zip(names, scores, strict=True))


def _parts(part, several, number):
    if several:
        return part if isinstance(part, list) and part else [None] * number
    return [part or None]


def look_up(machine, functions, getter):
    if not getter:
        return None
    return load("getters", functions, "get_" + getter["type"])(machine, getter)


def load(kind, functions, name):
    module, function = functions[kind][name]
    return getattr(importlib.import_module(f"{ROOT}.evaluators.{kind}.{module}"), function)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    sys.meta_path.append(StandIns(request["missing"]))
    open_packages(request["evaluators"])
    sys.excepthook = raised
    score, reason = judge(Machine(request), request["evaluator"], request["functions"])
    say({"score": score, "reason": reason})


def raised(kind, error, trace):
    """What another's program raised, whatever it is."""
    if isinstance(error, NotInstalled):
        say({"lacks": str(error)})
        return
    where = traceback.extract_tb(trace)[-1]
    place = f"{where.name} ({os.path.basename(where.filename)})"
    say({"raised": f"{kind.__name__}: {error}"[:400], "where": place})


def say(verdict):
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(verdict, file)


if __name__ == "__main__":
    main()
