"""reproduce: a table of the paper -> its arms, measured where they are missing, and our numbers beside the paper's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lbi.cli.options import configured
from lbi.cli.run import OutputOptions, RunOptions, carry_out
from lbi.cli.train_arms import NO_TRAINING, Training, base_models, require_what_trains, told_of, train_arms
from lbi.config import Config, Evaluation, resolve
from lbi.evaluation.reproduce import (
    PaperTable,
    apart,
    examples_of_arms,
    name_of,
    paper_table,
    paper_tables,
    with_arms,
    written,
)
from lbi.monitoring.terminal import say
from lbi.records import Result
from lbi.storage.files import write_atomically
from lbi.storage.run_folder import RunFolder

Apart = tuple[Config, Path]  # a run of its own, inside the folder of the table's run


def reproduce(name: str, options: RunOptions, output: OutputOptions, training: Training = NO_TRAINING) -> int:
    """Without a name, what there is to choose from."""
    if not name:
        tables = paper_tables()
        width = max(map(len, tables))
        say("\n".join(f"{each.ljust(width)}  {table.paper:7}  {table.about}" for each, table in tables.items()))
        return 0
    name, table = name_of(name), paper_table(name)
    given, out = configured(options)
    there = _begun(out)
    models = base_models(table, out, training, there.arms if there else ())
    config = with_arms(given, table, there, models)
    beside = [(apart(config, row), out / row.arm.name.replace(" ", "-")) for row in table.arms if row.apart]
    if output.dry_run:
        from lbi.cli.plan import show_plan

        return show_plan(config, out, "", output.as_json, beside)
    if table.trains:
        # examples first, then weights, then arms with these
        require_what_trains(table, out, training)
        carry_out(with_arms(given, table.of(table.arms[:1]), there, models), out, "synthesis", output)
        trained = train_arms(table, out, training, models, quiet=output.quiet)
        able = [row for row in table.arms if not row.trained or row.arm.name in trained]
        config = with_arms(given, table.of(able), there, models | trained)
    for each, folder in [(config, out), *beside]:
        carry_out(each, folder, "", output)
    text = _table(name, table, config, out, beside)
    file = out / "tables" / f"{name}.md"
    file.parent.mkdir(exist_ok=True)
    write_atomically(file, text.encode())
    say(json.dumps({"table": str(file), "text": text}, ensure_ascii=False) if output.as_json else f"{text}\n{file}")
    return 0


def _table(name: str, table: PaperTable, config: Config, out: Path, beside: Sequence[Apart]) -> str:
    results: list[Result] = []
    examples: dict[str, float] = {}
    elsewhere = [(*each, (row,)) for each, row in zip(beside, (r for r in table.arms if r.apart), strict=True)]
    for each, path, rows in [(config, out, table.here), *elsewhere]:
        with RunFolder(path, writing=False) as folder:
            results += [result for _, result in folder.store.all("result", Result)]
            examples |= examples_of_arms(folder, each, rows)
    return written(name, table, results, examples, told_of(table, out))


def _begun(out: Path) -> Evaluation | None:
    """The evaluation that a run was begun with; nothing of its arms is measured again."""
    if not (out / "run.db").is_file():
        return None
    with RunFolder(out, writing=False) as folder:
        return resolve(folder.config, str(out / "config.json")).evaluation
