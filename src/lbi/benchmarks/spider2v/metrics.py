"""Runs in a sandbox: the authors' metrics as they wrote them. metrics.py FOLDER JOBS.json -> VERDICTS.json beside it.

A job is {"conj": "and", "parts": [{"module": "table", "func": "compare_table", "result": {"file": "0/a.xlsx"},
"expected": {"file": "0/b.xlsx"}, "options": {}}]}; a verdict {"score": 1.0, "why": ""}, its score null where a metric
itself fails. It loads the standard library; what else the metrics import lies beside the interpreter that runs it.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import sys
import types
from concurrent.futures import ThreadPoolExecutor

PACKAGES = ("desktop_env", "desktop_env.evaluators", "desktop_env.evaluators.metrics")


class Absent(types.ModuleType):
    """A library that is not installed, as the tasks at hand need none of its functions; whoever calls one is told."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        class NotInstalled:
            def __init__(self, *given, **named):
                raise ImportError(f"the metric needs {where}, which is not installed")

        where = f"{self.__name__}.{name}"
        return NotInstalled


class Stands(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for what no other finder knows, and a module of the metrics asks for; others may do without."""

    def find_spec(self, name, path, target=None):
        frame = sys._getframe(1)
        while frame and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        asking = frame.f_globals.get("__name__", "") if frame else ""
        if name.startswith(PACKAGES[0]) or not asking.startswith(PACKAGES[-1]):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Absent(spec.name)

    def exec_module(self, module):
        module.__path__ = []


def metric(module, name):
    """A function of the metrics; their package itself is not imported, as it asks for everything at once."""
    stands = Stands()
    sys.meta_path.append(stands)
    try:
        return getattr(importlib.import_module(f"{PACKAGES[-1]}.{module}"), name)
    finally:
        sys.meta_path.remove(stands)


def given(side):
    """(value, whether it is a file that is not there)."""
    if "file" in side:
        return side["file"], side["file"] is None
    return side["value"], False


def called(function, arguments, options):
    """(what it returns, what it raised): it is somebody else's program, so that may be anything."""
    with ThreadPoolExecutor(1) as apart:
        asked = apart.submit(lambda: float(function(*arguments, **options)))
    raised = asked.exception()
    return (None, raised) if raised else (asked.result(), None)


def score_of(part):
    """(score, why); the score is None where the metric fails by itself, and not for what it was given."""
    function = metric(part["module"], part["func"])
    result, missing = given(part["result"])
    expected = [given(part["expected"])[0]] if part["expected"] else []
    score, raised = called(function, [result, *expected], part["options"])
    if raised is None:
        return score, ""
    if isinstance(raised, FileNotFoundError):
        return 0.0, f"there is no file {raised.filename}"
    told = f"{part['func']}: {type(raised).__name__}: {raised}"
    if missing:
        return 0.0, f"there is no file to judge ({told})"
    if part["expected"] and "file" in part["expected"] and "file" in part["result"]:
        _, also = called(function, [expected[0], *expected], part["options"])
        if also is None:
            return 0.0, f"the file cannot be judged ({told})"
        return None, f"the metric fails on its own expected file: {type(also).__name__}: {also}"
    return None, f"the metric failed: {told}"


def judged(job):
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


def main():
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
