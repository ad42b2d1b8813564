"""Configs: a file and the command line become one record, and what cannot be understood is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from lbi.config import Arm, Config, Evaluation, Models, Retrieval, Synthesis, load_config, resolve
from lbi.errors import UserError
from small_application import write_application

SHIPPED = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))
SECTIONS: dict[str, type[BaseModel]] = {
    "": Config,
    "models": Models,
    "synthesis": Synthesis,
    "retrieval": Retrieval,
    "evaluation": Evaluation,
}
KEYS = [(section, key) for section, model in SECTIONS.items() for key in model.model_fields if len(key) > 3]


def complaint(raw: dict[str, Any], overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as raised:
        resolve(raw, "run.toml", overrides)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# files


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_shipped_config_can_be_read(file):
    assert load_config(file).identity()


def test_an_empty_config_works(tmp_path):
    (tmp_path / "run.toml").write_text("")
    assert load_config(tmp_path / "run.toml") == Config()


def test_paths_are_meant_from_where_the_config_lies(tmp_path):
    config = load_config(write_application(tmp_path / "app"))
    assert config.application == str(tmp_path / "app" / "larder.toml")
    assert config.benchmark == str(tmp_path / "app" / "tasks.toml")
    assert config.documents[0].path == str(tmp_path / "app" / "docs")


def test_several_benchmarks_are_meant_from_there_too(tmp_path):
    (tmp_path / "run.toml").write_text('benchmark = ["trac", "mine.toml"]')
    assert load_config(tmp_path / "run.toml").benchmark == ("trac", str(tmp_path / "mine.toml"))


def test_names_of_what_is_shipped_and_addresses_are_no_paths(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('application = "trac"\n[[documents]]\npath = "https://example.org/guide"')
    config = load_config(file)
    assert (config.application, config.documents[0].path) == ("trac", "https://example.org/guide")


def test_a_config_that_is_not_there_or_not_toml_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no config file .*nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")
    with pytest.raises(UserError, match="cannot read the config"):
        load_config(tmp_path)
    for content in (b"name = ", b"\xff\xfe"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(UserError, match=r"cannot read the config .*bad\.toml"):
            load_config(tmp_path / "bad.toml")


# what cannot be understood


@settings(max_examples=60)
@given(st.sampled_from(KEYS), st.data())
def test_an_unknown_key_is_named_with_the_nearest_known_one(place, data):
    section, key = place
    at = data.draw(st.integers(0, len(key) - 1))
    wrong = key[:at] + "x" + key[at + 1 :]
    assume(wrong != key)
    said = complaint({section: {wrong: 1}} if section else {wrong: 1})
    assert f"unknown key '{section + '.' if section else ''}{wrong}'" in said
    assert f"did you mean '{key}'" in said


def test_an_unknown_key_in_a_list_of_tables_is_named_too():
    said = complaint({"evaluation": {"arms": [{"name": "a", "agent": "react", "step_facto": 2}]}})
    assert "unknown key 'evaluation.arms.0.step_facto'; did you mean 'step_factor'" in said
    assert "did you mean 'data'" in complaint({"evaluation": {"arms": [{"name": "a", "agent": "icl", "dat": "none"}]}})
    assert "did you mean 'path'" in complaint({"documents": [{"path": "x", "paht": "y"}]})


def test_a_key_like_no_other_is_answered_with_all_there_are():
    assert "known keys: documents, m1, m2" in complaint({"retrieval": {"zzzzzzzz": 1}})


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": "many"}, "workers"),
        ({"seeds": 3}, "seeds"),
        ({"models": {"budget": "much"}}, "models.budget"),
        ({"evaluation": {"arms": [{"name": "a"}]}}, "evaluation.arms.0.agent"),
        ({"evaluation": {"arms": [{"name": "a", "agent": "icl", "data": "sideways"}]}}, "evaluation.arms.0.data"),
        ({"synthesis": {"kinds": ["forward"]}}, "synthesis.kinds.0"),
        ({"models": "gpt"}, "models"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_place(raw, place):
    assert complaint(raw).startswith(f"run.toml: {place}: ")


# overrides


def test_the_command_line_wins_over_the_file_and_makes_tables_where_there_are_none():
    raw = {"workers": 2, "models": {"default": "offline"}}
    config = resolve(
        raw, "run.toml", {"workers": 3, "models.default": "openai:x", "evaluation.tasks": 5, "seeds": [1, 2]}
    )
    assert (config.workers, config.models.default, config.evaluation.tasks, config.seeds) == (3, "openai:x", 5, (1, 2))


def test_an_override_that_is_unknown_is_named():
    assert "did you mean 'default'" in complaint({}, {"models.defualt": "x"})


@pytest.mark.parametrize("dotted", ["name.first", "models.default.name", "seeds.0", "documents.0.path"])
def test_an_override_below_a_value_that_is_no_table_is_named(dotted):
    raw = {"name": "x", "models": {"default": "offline"}, "seeds": [0], "documents": []}
    assert dotted.rpartition(".")[0] in complaint(raw, {dotted: 1})


@pytest.mark.parametrize("documents", [5, "docs", ["docs"], {"path": "docs"}, [{"path": 5}]])
def test_documents_that_are_no_tables_are_named(documents, tmp_path):
    with pytest.raises(UserError, match="documents"):
        resolve({"documents": documents}, "run.toml", base=tmp_path)


# identity


@pytest.mark.parametrize("overrides", [{"workers": 9}, {"models.budget": 5.0}, {"models.timeout": 900}])
def test_how_fast_and_for_how_much_is_no_part_of_a_runs_identity(overrides):
    assert resolve({}, "x", overrides).identity() == Config().identity()


@pytest.mark.parametrize(
    "overrides",
    [
        {"seeds": [1]},
        {"models.default": "openai:x"},
        {"retrieval.m1": 1},
        {"synthesis.filters": []},
        {"application": "a"},
    ],
)
def test_everything_else_is(overrides):
    assert resolve({}, "x", overrides).identity() != Config().identity()


def test_a_run_goes_on_with_the_config_that_it_kept():
    config = resolve({"name": "x", "models": {"prices": {"m": [1, 2]}}}, "run.toml")
    assert resolve(config.identity(), "config.json") == config


# models and arms


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ({}, ["offline"] * 5),
        ({"default": "a"}, ["a"] * 5),
        ({"default": "a", "label": "l"}, ["a", "a", "a", "l", "l"]),
        ({"propose": "p", "act": "c", "query": "q"}, ["p", "c", "q", "offline", "offline"]),
    ],
)
def test_each_role_has_its_model_or_the_default(models, expected):
    roles = ("propose", "act", "query", "abstract", "summarise")
    assert [Models(**models).of(role) for role in roles] == expected


def test_the_arms_of_a_run_bear_different_names_and_the_reference_is_one_of_them():
    names = [arm.name for arm in Evaluation().arms]
    assert len(set(names)) == len(names)
    assert {Evaluation().reference, Evaluation().growth_arm} <= set(names)
    assert all(isinstance(arm, Arm) for arm in Evaluation().arms)


def test_a_price_is_a_list_or_a_table():
    said = {"models": {"prices": {"a": [1, 2], "b": [1, 2, 0.1], "c": {"input": 1, "output": 2, "date": "2026-01-05"}}}}
    prices = resolve(said, "x").models.prices
    assert (prices["a"].cached, prices["b"].cached, prices["c"].date) == (None, 0.1, "2026-01-05")


@pytest.mark.parametrize("price", [[1], [1, 2, 3, 4, 5], [1, "much"], {"input": 1}, [-1, 2]])
def test_a_price_that_is_none_is_named(price):
    with pytest.raises(UserError, match=r"models\.prices\.m"):
        resolve({"models": {"prices": {"m": price}}}, "x")


def test_an_unknown_part_of_a_price_is_named_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'cached'"):
        resolve({"models": {"prices": {"m": {"input": 1, "output": 2, "cachd": 1}}}}, "x")
