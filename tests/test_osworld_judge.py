"""What calls OSWorld's getters and metrics: by the rules of the official runner, each module loaded singly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lbi.benchmarks.osworld import judge

GETTERS = """
def get_rule(env, config):
    return config["rules"]


def get_file(env, config):
    path = env.cache_dir + "/" + config["name"]
    with open(path, "w") as file:
        file.write(config["text"])
    return path


def get_gone(env, config):
    raise FileNotFoundError(config["path"])


def get_screen(env, config):
    return [env.vm_screen_size["width"], env.vm_platform]
"""
METRICS = """
import easyocr
from easyocr.detection import Detector


def exact_match(result, rules, weight=1.0):
    return weight if result == rules["expected"] else 0.0


def same_numbers(result, expected):
    read = [[int(line) for line in open(path)] for path in (result, expected)]
    return float(read[0] == read[1])


def is_true(result):
    return result


def reads(result, rules):
    return easyocr.Reader(["en"]).readtext(result)


def detects(result, rules):
    return Detector().detect(result)
"""


NAMES = ("exact_match", "same_numbers", "is_true", "reads", "detects")


def verdict(folder: Path, evaluator: dict[str, Any]) -> dict[str, Any]:
    evaluators = folder / "desktop_env"
    for kind, text in (("getters", GETTERS), ("metrics", METRICS)):
        place = evaluators / "evaluators" / kind
        place.mkdir(parents=True, exist_ok=True)
        (place / "all.py").write_text(text, "utf-8")
        (place / "__init__.py").write_text("raise ImportError('everything at once')", "utf-8")
    functions = {
        "getters": {f"get_{name}": ["all", f"get_{name}"] for name in ("rule", "file", "gone", "screen")},
        "metrics": {name: ["all", name] for name in NAMES},
    }
    request = {
        **{"evaluators": str(evaluators), "controller": False, "missing": ["easyocr"], "functions": functions},
        **{"evaluator": evaluator, "cache": str(folder), "screen": {"width": 1920, "height": 1080}, "port": 1},
    }
    (folder / "request.json").write_text(json.dumps(request), "utf-8")
    command = [sys.executable, judge.__file__, folder / "request.json", folder / "verdict.json"]
    subprocess.run(command, check=False, timeout=60)
    read: dict[str, Any] = json.loads((folder / "verdict.json").read_text("utf-8"))
    return read


def rule(value: object) -> dict[str, Any]:
    return {"type": "rule", "rules": value}


YES, NO = rule({"expected": 1}), rule({"expected": 2})


@pytest.mark.parametrize(
    ("evaluator", "score"),
    [
        ({"func": "exact_match", "result": rule(1), "expected": YES}, 1.0),
        ({"func": "exact_match", "result": rule(1), "expected": NO}, 0.0),
        ({"func": "exact_match", "result": rule(1), "expected": YES, "options": {"weight": 0.4}}, 0.4),
        ({"func": "is_true", "result": rule(1)}, 1.0),
        ({"func": "is_true", "result": {"type": "gone", "path": "a"}}, 0.0),
        ({"func": "exact_match", "result": {"type": "screen"}, "expected": rule({"expected": [1920, "Linux"]})}, 1.0),
        ({"func": ["exact_match"] * 2, "result": [rule(1)] * 2, "expected": [YES, NO]}, 0.0),
        ({"func": ["exact_match"] * 2, "conj": "or", "result": [rule(1)] * 2, "expected": [NO, YES]}, 1.0),
        ({"func": ["exact_match"] * 2, "conj": "or", "result": [rule(1)] * 2, "expected": [NO, NO]}, 0.0),
        (
            {
                "func": ["exact_match"] * 2,
                "result": [rule(1)] * 2,
                "expected": [YES, YES],
                "options": [{"weight": 0.5}, None],
            },
            0.75,
        ),
        ({"func": ["is_true"] * 2, "conj": "or", "result": [{"type": "gone", "path": "a"}, rule(1)]}, 1.0),
        ({"func": ["is_true"] * 2, "result": [{"type": "gone", "path": "a"}, rule(1)]}, 0.0),
    ],
)
def test_metrics_are_joined_by_the_rules_of_the_official_runner(
    tmp_path: Path, evaluator: dict[str, Any], score: float
) -> None:
    assert verdict(tmp_path, evaluator)["score"] == pytest.approx(score)


@pytest.mark.parametrize("name", ["reads", "detects"])
def test_what_is_not_installed_is_told_only_where_it_is_used(tmp_path: Path, name: str) -> None:
    evaluator = {"func": name, "result": rule(1), "expected": YES}
    assert verdict(tmp_path, evaluator) == {"lacks": "needs the package easyocr, which is not installed"}


def test_what_a_metric_raises_is_told_with_its_place(tmp_path: Path) -> None:
    found = verdict(tmp_path, {"func": "exact_match", "result": rule(1), "expected": rule({"else": 1})})
    assert found == {"raised": "KeyError: 'expected'", "where": "exact_match (all.py)"}


def kept(name: str, text: str) -> dict[str, str]:
    return {"type": "file", "name": name, "text": text}


@pytest.mark.parametrize("several", [False, True])
def test_a_file_that_a_metric_cannot_read_though_it_reads_its_reference_scores_0(tmp_path: Path, several: bool) -> None:
    """Else an agent that spoils a file would be in no rate."""
    evaluator: dict[str, Any] = {"func": "same_numbers", "result": kept("a", "1\n2\n"), "expected": kept("b", "1\n2\n")}
    assert verdict(tmp_path, evaluator)["score"] == 1.0
    spoilt = {**evaluator, "result": kept("a", "one\n")}
    spoilt = {part: [value] for part, value in spoilt.items()} if several else spoilt
    assert verdict(tmp_path, spoilt) == {
        "score": 0.0,
        "reason": "same_numbers cannot read what is to be judged (ValueError: invalid literal for int() with base 10: "
        "'one\\n')",
    }
    spoilt = {**evaluator, "func": ["same_numbers"] * 2, "conj": "or", "result": [kept("a", "one\n"), kept("c", "1\n")]}
    spoilt["expected"] = [kept("b", "1\n")] * 2
    assert verdict(tmp_path, spoilt)["score"] == 1.0, "another of its conditions holds"


def test_a_metric_that_cannot_read_its_own_reference_is_at_fault_itself(tmp_path: Path) -> None:
    evaluator = {"func": "same_numbers", "result": kept("a", "1\n"), "expected": kept("b", "one\n")}
    assert verdict(tmp_path, evaluator)["raised"].startswith("ValueError: invalid literal")
