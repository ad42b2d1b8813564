"""The official SWE-bench package, where it can be imported: `pip install --no-deps swebench==5.0.2 unidiff` is enough.

Its grading needs no other of its dependencies, which its ``__init__`` imports; so the packages above are stood in for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

VERSION = "5.0.2"  # that the verdicts in the tests were read from


@cache
def folder() -> Path | None:
    """Where the package lies, which is not imported by this."""
    spec = importlib.util.find_spec("unidiff") and importlib.util.find_spec("swebench")
    return Path(spec.origin).parent if spec and spec.origin else None


def report(instance: dict[str, Any], log: Path, patch: str | None = "patch") -> dict[str, Any] | None:
    """The official report of a log; None where there is no official package."""
    place = folder()
    if place is None:
        return None
    for name, part in (("swebench", ""), ("swebench.harness", "harness")):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(place / part)]
            sys.modules[name] = module
    grading, kinds = (importlib.import_module(f"swebench.{name}") for name in ("harness.grading", "types"))
    spec = kinds.TestSpec(image="", eval_script_list=[], repo="", version="", **instance)
    prediction = {"instance_id": spec.instance_id, "model_name_or_path": "m", "model_patch": patch}
    found: dict[str, Any] = grading.get_eval_report(spec, prediction, str(log), True)[spec.instance_id]
    return found
