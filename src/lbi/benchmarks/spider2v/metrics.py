"""Runs in a sandbox: the authors' metrics as they wrote them. metrics.py FOLDER JOBS.json -> VERDICTS.json beside it.

A job is {"conj": "and", "parts": [{"module": "table", "func": "compare_table", "result": {"file": "0/a.xlsx"},
"expected": {"file": "0/b.xlsx"}, "options": {}}]}; a verdict {"score": 1.0, "why": ""}, its score null where a metric
itself fails. It loads the standard library; what else the metrics import lies beside the interpreter that runs it.
"""

import importlib
import importlib.abc
import json
import os
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from types import FrameType
from typing import Any

Json = dict[str, Any]

PACKAGES = ("desktop_env", "desktop_env.evaluators", "desktop_env.evaluators.metrics")


class Absent(types.ModuleType):
    """A library that is not installed, as the tasks at hand need none of its functions; whoever calls one is told."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)

        class NotInstalled:
            def __init__(self, *given: object, **named: object) -> None:
                raise ImportError(f"the metric needs {where}, which is not installed")

        where = f"{self.__name__}.{name}"
        return NotInstalled


class Stands(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for what no other finder knows, and a module of the metrics asks for; others may do without."""

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        frame: FrameType | None = sys._getframe(1)
        while frame and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        asking = frame.f_globals.get("__name__", "") if frame else ""
        if name.startswith(PACKAGES[0]) or not asking.startswith(PACKAGES[-1]):
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__path__ = []


def metric(module: str, name: str) -> Callable[..., Any]:
    """A function of the metrics; their package itself is not imported, as it asks for everything at once."""
    stands = Stands()
    sys.meta_path.append(stands)
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(f"{PACKAGES[-1]}.{module}"), name)
        return found
    finally:
        sys.meta_path.remove(stands)


def given(side: Json) -> tuple[Any, bool]:
    """(value, whether it is a file that is not there)."""
    if "file" in side:
        return side["file"], side["file"] is None
    return side["value"], False


def apart(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """(what it returns, what it raised): it is somebody else's program, so that may be anything."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(work)
    raised = asked.exception()
    return (None, raised) if raised else (asked.result(), None)


def score_of(part: Json) -> tuple[float | None, str]:
    """(score, why); the score is None where the metric fails by itself, and not for what it was given."""
    function, broken = apart(lambda: metric(part["module"], part["func"]))
    if broken is not None:
        return None, f"the module {part['module']} of the metrics cannot be loaded: {said(broken)}"
    result, missing = given(part["result"])
    expected = [given(part["expected"])[0]] if part["expected"] else []
    score, raised = apart(lambda: float(function(result, *expected, **part["options"])))
    if raised is None:
        return score, ""
    if isinstance(raised, FileNotFoundError):
        return 0.0, f"there is no file {raised.filename}"
    told = f"{part['func']}: {said(raised)}"
    if missing:
        return 0.0, f"there is no file to judge ({told})"
    if part["expected"] and "file" in part["expected"] and "file" in part["result"]:
        _, also = apart(lambda: float(function(expected[0], *expected, **part["options"])))
        if also is None:
            return 0.0, f"the file cannot be judged ({told})"
        return None, f"the metric fails on its own expected file: {said(also)}"
    return None, f"the metric failed: {told}"


def said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def judged(job: Json) -> Json:
    """As the authors' environment puts the scores of several metrics together."""
    scores = []
    for part in job["parts"]:
        score, why = score_of(part)
        if score is None:
            return {"score": None, "why": why}
        why = why or f"{part['func']} gives {score:g}"
        if job["conj"] == "and" and score == 0:
            return {"score": 0.0, "why": why}
        if job["conj"] == "or" and score == 1:
            return {"score": 1.0, "why": why}
        scores.append(score)
    return {"score": sum(scores) / len(scores) if job["conj"] == "and" else max(scores), "why": why}


def main() -> None:
    folder, file = sys.argv[1:]
    for name in PACKAGES:
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = [folder] if name == PACKAGES[-1] else []
    with open(file, encoding="utf-8") as jobs:
        asked = json.load(jobs)
    os.chdir(os.path.dirname(os.path.abspath(file)))
    verdicts = [judged(job) for job in asked]
    with open("VERDICTS.json", "w", encoding="utf-8") as written:
        json.dump(verdicts, written)


if __name__ == "__main__":
    main()
