"""The configs in the repository: each loads, names what exists, and is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbi.cli.preflight import check_config
from lbi.config import load_config
from lbi.environments.web.application import shipped_applications
from lbi.evaluation.benchmark import load_benchmarks
from running import answer

ROOT = Path(__file__).parents[1]
ALL = sorted((ROOT / "configs").glob("*.toml"))
CONFIGS = [file for file in ALL if load_config(file).environment == "web"]
REPOSITORIES = [file for file in ALL if load_config(file).environment == "repository"]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
async def test_a_shipped_config_names_what_exists_and_needs_no_key(file: Path) -> None:
    config = load_config(file)
    await check_config(config)
    assert config.models.default == "offline" or config.models.default.startswith("local:")
    if config.environment != "web":
        return
    assert config.application in shipped_applications()
    assert load_benchmarks(config.benchmark).application == config.application
    assert config.evaluation.tasks <= len(load_benchmarks(config.benchmark).task)


def test_every_application_has_a_config_and_every_config_opens_with_what_it_is_for() -> None:
    assert {load_config(file).application for file in CONFIGS} - {""} == set(shipped_applications())
    listed = {row["path"]: row["description"] for row in answer("list", "configs", cwd=ROOT, here=True)}
    assert all(listed[f"configs/{file.name}"] for file in CONFIGS)


@pytest.mark.parametrize("file", REPOSITORIES, ids=lambda file: file.stem)
async def test_a_config_of_repositories_names_instances_that_exist(file: Path) -> None:
    config = load_config(file)
    await check_config(config)
    assert load_benchmarks(config.benchmark).application == config.application
    assert config.synthesis.compose == 0, "ways through one repository lead nowhere in another"
