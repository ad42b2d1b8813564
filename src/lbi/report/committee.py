"""How the committee's votes compare with what a replay proved, and with what people said, as rows of the report."""

from __future__ import annotations

from lbi.evaluation.calibration import Calibration, calibrations
from lbi.evaluation.people import Agreement, agreements
from lbi.records import Example
from lbi.storage.judgements import Judgements, accepted_by_people
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.filters.replay import Replayed


def calibrations_of(run: RunFolder) -> list[Calibration]:
    """Of all labelled examples of a run, also those that were dropped."""
    replays = {replayed.trajectory: replayed for _, replayed in run.store.all("replay", Replayed)}
    return calibrations((example for _, example in run.store.all("example", Example)), replays) if replays else []


def agreements_of(run: RunFolder) -> list[Agreement]:
    """Of the examples that people judged, if any."""
    people = accepted_by_people(Judgements(run.path).all())
    return agreements((example for _, example in run.store.all("example", Example)), people) if people else []
