"""The paper's tables from one's own runs: which arms each has (``paper.toml``), and our numbers beside the paper's."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from statistics import mean
from typing import Any

from pydantic import BaseModel, ConfigDict

from lbi.config import Arm, Config, Evaluation
from lbi.errors import UserError
from lbi.evaluation.arms import examples_for
from lbi.evaluation.statistics import ArmSummary, compare, summarise
from lbi.records import INFRASTRUCTURE, Result
from lbi.report.words import percent
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples

FEW = 20  # held-out tasks below which a table says that it can tell little
AS_MUCH = 0.1  # by what part an arm's tokens may differ from those of the arm that it is the control of


PAPER_MODELS = ("gemini", "claude", "codegemma", "codestral")


class Trained(BaseModel):
    """What an arm's model is trained on first, of the run's examples, as ``lbi train`` takes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str  # of its folder in RUN/trained
    kinds: str = "abstract,summary,composed"
    mix: str = ""
    tokens: int = 0  # of its rows, about; 0 = all there are


class PaperArm(BaseModel):
    """An arm, and what the paper reports for it, in percent, by benchmark."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: Arm
    trained: Trained | None = None
    apart: dict[str, Any] = {}
    """Settings of a run of its own, inside the run's folder, in which this arm is measured on the same tasks."""
    gemini: tuple[float, ...] = ()
    claude: tuple[float, ...] = ()
    codegemma: tuple[float, ...] = ()
    codestral: tuple[float, ...] = ()

    def reported(self, model: str) -> tuple[float, ...]:
        """What the paper reports with one of ``PAPER_MODELS``."""
        numbers: tuple[float, ...] = getattr(self, model)
        return numbers


class PaperTable(BaseModel):
    """One table or figure. The first arm is what the others are compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    benchmarks: tuple[str, ...]
    arms: tuple[PaperArm, ...]
    paper: str = ""  # what the paper calls it: table2, figure3
    spends_as: str = ""  # the arm whose tokens the others are to spend without examples

    @property
    def here(self) -> tuple[PaperArm, ...]:
        """The arms that are measured in the run itself."""
        return tuple(row for row in self.arms if not row.apart)

    @property
    def trains(self) -> bool:
        return any(row.trained for row in self.arms)

    def of(self, rows: Sequence[PaperArm]) -> PaperTable:
        """The same table with some of its arms only."""
        return self.model_copy(update={"arms": tuple(rows)})

    @property
    def by_models(self) -> tuple[str, ...]:
        """With which models the paper reports any number."""
        return tuple(model for model in PAPER_MODELS if any(row.reported(model) for row in self.arms))


@cache
def paper_tables() -> dict[str, PaperTable]:
    text = resources.files("lbi.evaluation").joinpath("paper.toml").read_text("utf-8")
    return {name: PaperTable.model_validate(table) for name, table in tomllib.loads(text).items()}


def paper_table(name: str) -> PaperTable:
    """By our name or the paper's ("table4"). Raises UserError for one that there is not."""
    return paper_tables()[name_of(name)]


def name_of(name: str) -> str:
    """Our name of a table. Raises UserError for one that there is not."""
    tables = paper_tables()
    name = {table.paper: own for own, table in tables.items() if table.paper}.get(name.lower().replace(" ", ""), name)
    if name not in tables:
        near = difflib.get_close_matches(name, tables, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(tables)}"
        raise UserError(f"no table {name!r}; {hint}")
    return name


def with_arms(
    config: Config, table: PaperTable, there: Evaluation | None = None, models: Mapping[str, str] | None = None
) -> Config:
    """The config with the table's arms added to those that a run was begun with (``there``), and the table's reference.

    ``models``: {arm: the model that acts in it}, where that is not the run's own.

    A run that was begun with another reference keeps it: comparisons of the table are made anew when it is written.
    """
    if any(not row.arm.own_part for row in table.arms) and not config.evaluation.part:
        raise UserError(
            "this table leaves out examples of one part of the application, and evaluation.part names none; "
            "give its addresses: -s 'evaluation.part=[\"/wiki*\"]'"
        )
    if any(row.arm.ranking in ("dense", "hybrid") for row in table.arms) and not config.models.embeddings:
        raise UserError(
            "this table ranks by vectors, and models.embeddings names nothing that makes them; for the encoder of this "
            "machine: -s 'models.embeddings=\"local\"'"
        )
    begun = there.arms if there else ()
    had = {arm.name for arm in begun}
    if any(row.apart for row in table.arms) and not config.benchmark:
        raise UserError(
            "this table compares two runs on the same held-out tasks, and the config has none of its own "
            "(each run would hold out what it proposed itself); name some in benchmark"
        )
    models = models or {}
    added = (row.arm for row in table.here if row.arm.name not in had)
    arms = (*begun, *(arm.model_copy(update={"model": models.get(arm.name, arm.model)}) for arm in added))
    reference = there.reference if there else table.arms[0].arm.name
    return config.model_copy(
        update={"evaluation": config.evaluation.model_copy(update={"arms": arms, "reference": reference})}
    )


def apart(config: Config, row: PaperArm) -> Config:
    """The config of the run of its own in which an arm is measured."""
    own = config.model_dump(mode="json")
    for key, value in row.apart.items():
        *parents, leaf = key.split(".")
        table = own
        for parent in parents:
            table = table[parent]
        if table[leaf] == value:
            raise UserError(f"the config has {key} = {value!r}, which is what {row.arm.name!r} is to differ in")
        table[leaf] = value
    own["evaluation"] |= {"arms": [row.arm.model_dump(mode="json")], "reference": row.arm.name, "growth": []}
    return Config.model_validate(own)


def examples_of_arms(folder: RunFolder, config: Config, rows: Sequence[PaperArm]) -> dict[str, float]:
    """{arm: how many examples it may retrieve from, on average over the seeds}, for the arms that have any data."""
    arms = [row.arm for row in rows if row.arm.data != "none"]
    by_seed = [read_examples(folder, seed) for seed in config.seeds] if arms else []
    return {
        arm.name: mean(
            len(examples_for(arm.data, examples, seed, arm.share, arm.among(config.evaluation)))
            for seed, examples in zip(config.seeds, by_seed, strict=True)
        )
        for arm in arms
    }


def written(
    name: str,
    table: PaperTable,
    results: Sequence[Result],
    examples: Mapping[str, float],
    more: Sequence[str] = (),
) -> str:
    """The table as Markdown: solved with its 95% interval, the difference, what it cost, and the paper's numbers.

    ``examples``: as ``examples_of_arms`` counts them. ``more``: lines to be said below it.
    """
    ours = {summary.arm: summary for summary in summarise(results)}
    reference = table.arms[0].arm.name
    able = [row.arm.name for row in table.arms if row.arm.name in ours and not ours[row.arm.name].no_number]
    others = [arm for arm in able if arm != reference and reference in able]
    compared = {row.arm: row for row in compare(results, [(arm, reference) for arm in others])}
    paper = [f"{model.capitalize()}: {' / '.join(table.benchmarks)}" for model in table.by_models]
    had = ["examples"] if examples else []
    head = [
        "arm",
        *had,
        "solved",
        "95%",
        f"beside {reference}",
        "p (Holm)",
        "tasks",
        "steps",
        "calls",
        "tokens",
        *paper,
    ]
    lines = [f"## {name}: {table.about}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in table.arms:
        summary = ours.get(row.arm.name)
        cells = _cells(row.arm.name, summary, [r for r in results if r.arm == row.arm.name])
        other = compared.get(row.arm.name)
        difference = [f"{100 * other.difference:+.1f}", f"{other.p_holm:.3f}"] if other else ["", ""]
        cells[2:2] = difference if len(cells) > 2 else []
        cells[:0] = [f"{examples[row.arm.name]:,.0f}" if row.arm.name in examples else ""] if had else []
        cells += [""] * (len(head) - 1 - len(paper) - len(cells))
        numbers = [" / ".join(f"{n:.1f}" for n in row.reported(model)) for model in table.by_models]
        lines.append("| " + " | ".join([row.arm.name, *cells, *numbers]) + " |")
    without = [arm for arm, count in examples.items() if not count]
    none = [f"Without any example, so they say nothing of such: {', '.join(without)}."] if without else []
    notes = [*_notes(table, ours), *none, *_unusable(table, results), *_spent_beside(table, results), *more]
    paragraphs = (line for note in notes for line in ("", note))
    return "\n".join([*lines, *paragraphs]) + "\n"


def _unusable(table: PaperTable, results: Sequence[Result]) -> list[str]:
    """Names the arms of which most episodes ended with a reply that could not be used; what they are is not known."""
    told = []
    for row in table.arms:
        own = [r for r in results if r.arm == row.arm.name and r.fault not in INFRASTRUCTURE]
        failed = sum(r.stop == "model_failure" for r in own)
        if 2 * failed > len(own):
            told.append(f"{row.arm.name} ({failed} of {len(own)})")
    return [f"Ended by replies of the model that could not be used: {', '.join(told)}."] if told else []


def _cells(arm: str, summary: ArmSummary | None, results: Sequence[Result]) -> list[str]:
    """solved, interval, tasks, steps, calls, tokens; or why there is no number."""
    if summary is None:
        return ["not run"]
    if summary.no_number:
        return [summary.no_number]
    counted = [r for r in results if r.fault not in INFRASTRUCTURE]
    n = max(len(counted), 1)
    return [
        percent(summary.mean),
        f"{percent(summary.low)} – {percent(summary.high)}",
        str(summary.tasks),
        f"{sum(r.steps for r in counted) / n:.1f}",
        f"{sum(r.usage.calls for r in counted) / n:.1f}",
        f"{tokens_of(counted):,.0f}",
    ]


def tokens_of(counted: Sequence[Result]) -> float:
    """Of an episode, on average."""
    return sum(r.usage.input_tokens + r.usage.output_tokens for r in counted) / max(len(counted), 1)


def _spent_beside(table: PaperTable, results: Sequence[Result]) -> list[str]:
    """How near controls come to the tokens of the arm with examples; tries and steps are whole, so none equals it."""
    spent = {
        row.arm.name: tokens
        for row in table.arms
        if (tokens := tokens_of([r for r in results if r.arm == row.arm.name and r.fault not in INFRASTRUCTURE]))
    }
    if not (own := spent.pop(table.spends_as, 0.0)):
        return []
    shares = {arm: tokens / own for arm, tokens in spent.items()}
    told = ", ".join(f"{arm} {share:.2f}" for arm, share in shares.items())
    equal = [arm for arm, share in shares.items() if abs(share - 1) <= AS_MUCH]
    verdict = f"about as many: {', '.join(equal)}" if equal else f"none is within {AS_MUCH:.0%} of it"
    return [f"Tokens of an episode, times those of {table.spends_as}: {told} ({verdict})."]


def _notes(table: PaperTable, ours: dict[str, ArmSummary]) -> list[str]:
    measured = [ours[row.arm.name] for row in table.arms if row.arm.name in ours and not ours[row.arm.name].no_number]
    notes = ["Tasks are the unit; differences are paired, signs flipped, corrected for all arms of the table."]
    seeds = max((summary.seeds for summary in measured), default=0)
    notes.append(f"{seeds} seed{'' if seeds == 1 else 's'}; steps, calls and tokens are means of an episode.")
    reference = table.arms[0].arm.name
    if reference in ours and ours[reference].no_number:
        notes.append(f"{reference} has no number, so none is compared with it.")
    if measured and min(summary.tasks for summary in measured) < FEW:
        notes.append(f"With fewer than {FEW} tasks no difference short of a very large one can be told from chance.")
    if measured and all(summary.mean in (0.0, 1.0) for summary in measured):
        notes.append("All arms solve all tasks, or none: this table tells nothing at this size.")
    return notes
