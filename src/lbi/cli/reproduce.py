"""reproduce: a table of the paper -> its arms, measured where they are missing, and our numbers beside the paper's."""

from __future__ import annotations

import json
from pathlib import Path

from lbi.cli.options import configured
from lbi.cli.run import OutputOptions, RunOptions, carry_out
from lbi.config import Arm, Config, resolve
from lbi.evaluation.reproduce import examples_of_arms, name_of, paper_table, paper_tables, with_arms, written
from lbi.monitoring.terminal import say
from lbi.records import Result
from lbi.storage.files import write_atomically
from lbi.storage.run_folder import RunFolder


def reproduce(name: str, options: RunOptions, output: OutputOptions) -> int:
    """Without a name, what there is to choose from."""
    if not name:
        tables = paper_tables()
        width = max(map(len, tables))
        say("\n".join(f"{each.ljust(width)}  {table.paper:7}  {table.about}" for each, table in tables.items()))
        return 0
    name, table = name_of(name), paper_table(name)
    if not table.arms:
        say("\n".join([f"{name}: {table.about}", "It takes more than one run:", *table.how]))
        return 0
    config, out = configured(options)
    config = with_arms(config, table, _arms_of(out, config))
    if output.dry_run:
        from lbi.cli.plan import show_plan

        return show_plan(config, out, "", output.as_json)
    carry_out(config, out, "", output)
    with RunFolder(out, writing=False) as folder:
        results = [result for _, result in folder.store.all("result", Result)]
        text = written(name, table, results, examples_of_arms(folder, config, table))
    file = out / "tables" / f"{name}.md"
    file.parent.mkdir(exist_ok=True)
    write_atomically(file, text.encode())
    say(json.dumps({"table": str(file), "text": text}, ensure_ascii=False) if output.as_json else f"{text}\n{file}")
    return 0


def _arms_of(out: Path, config: Config) -> tuple[Arm, ...]:
    """The arms that a run was begun with; nothing of it is measured again."""
    if not (out / "run.db").is_file():
        return ()
    with RunFolder(out, writing=False) as folder:
        return resolve(folder.config, str(out / "config.json")).evaluation.arms
