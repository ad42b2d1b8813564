"""Writes two logs by a tiny real evaluation of Inspect: its task, solver and tools, and its mock of a model.

python make_inspect.py OUT_FOLDER        (tried with inspect_ai 0.3.285): inspect.eval and inspect.json
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import tiktoken

os.environ["INSPECT_LOG_LEVEL"] = "warning"

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, system_message, use_tools
from inspect_ai.tool import Tool, ToolError, tool

# its counts of tokens need a file of the network
tiktoken.get_encoding = lambda name: SimpleNamespace(encode=lambda text, **options: text.split())  # type: ignore[assignment]

STOCK = {"lamp": 4, "chair": 0}


@tool
def look_up_stock() -> Tool:
    async def execute(article: str) -> str:
        """Say how many of an article there are.

        Args:
            article: Its name.
        """
        if article not in STOCK:
            raise ToolError(f"there is no article {article}")
        return f"There are {STOCK[article]} of {article}. " + "The shelf is full of lamps. " * 10

    return execute


@tool
def open_gate() -> Tool:
    async def execute() -> str:
        """Open the gate of the warehouse."""
        raise ConnectionError("the sandbox has crashed")

    return execute


@tool
def reserve() -> Tool:
    async def execute(article: str, count: int) -> str:
        """Reserve some of an article.

        Args:
            article: Its name.
            count: How many.
        """
        return f"Reserved {count} of {article}."

    return execute


def main(out: Path) -> None:
    model = get_model(
        "mockllm/model",
        custom_outputs=[
            ModelOutput.for_tool_call("mockllm/model", "look_up_stock", {"article": "lamp"}),
            ModelOutput.for_tool_call("mockllm/model", "reserve", {"article": "lamp", "count": 2}),
            ModelOutput.from_content("mockllm/model", "Reserved 2 lamps."),
            ModelOutput.for_tool_call("mockllm/model", "look_up_stock", {"article": "table"}),
            ModelOutput.from_content("mockllm/model", "There are no tables."),
            ModelOutput.for_tool_call("mockllm/model", "reserve", {"article": "chair", "count": 1}),
            ModelOutput.for_tool_call("mockllm/model", "open_gate", {}),
        ],
    )
    tools = (look_up_stock(), reserve(), open_gate())
    task = Task(
        name="warehouse",
        dataset=[
            Sample(id="lamps", input="Reserve two lamps.", target="Reserved 2"),
            Sample(id="tables", input="How many tables are there?", target="0"),
            Sample(id="gate", input="Reserve a chair and open the gate.", target="open"),
        ],
        solver=[
            system_message("You keep a warehouse."),
            use_tools(*tools),
            generate(),
        ],
        scorer=includes(),
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        options = {"display": "none", "max_samples": 1, "log_format": "eval", "fail_on_error": False}
        (log,) = eval(task, model=model, log_dir="logs", **options)
        kept = read_eval_log(log.location)
        for sample in kept.samples or []:  # a traceback tells where this ran
            sample.error = sample.error and sample.error.model_copy(update={"traceback": "", "traceback_ansi": ""})
            sample.events = [event for event in sample.events if event.event != "error"]
        write_eval_log(kept, str(out / "inspect.eval"), format="eval")
        for sample in kept.samples or []:
            sample.events = []
        write_eval_log(kept, str(out / "inspect.json"), format="json")
        os.chdir("/")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
