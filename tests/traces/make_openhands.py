"""Writes a conversation by a tiny real run of the OpenHands SDK: its agent and event log, its scripted model.

python make_openhands.py OUT_FOLDER        (tried with openhands-sdk 1.58.2): OUT_FOLDER/openhands/
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from uuid import UUID

os.environ |= {"OPENHANDS_SUPPRESS_BANNER": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LOG_LEVEL": "ERROR"}

from openhands.sdk import Agent, Conversation
from openhands.sdk.conversation.exceptions import ConversationRunError
from openhands.sdk.llm import Message, MessageToolCall, TextContent
from openhands.sdk.testing import TestLLM
from openhands.sdk.tool import Tool, register_tool
from openhands.sdk.tool.tool import Action, Observation, ToolDefinition, ToolExecutor

NUMBERS = itertools.count(1)


class ReserveAction(Action):
    article: str
    count: int = 1


class ReserveObservation(Observation):
    left: int = 0


class ReserveExecutor(ToolExecutor):
    def __call__(self, action: ReserveAction, conversation: object = None) -> ReserveObservation:
        if action.article != "lamp":
            return ReserveObservation.from_text(f"there is no article {action.article}", is_error=True)
        return ReserveObservation.from_text(f"Reserved {action.count} of {action.article}.", left=4 - action.count)


class ReserveTool(ToolDefinition[ReserveAction, ReserveObservation]):
    @classmethod
    def create(cls, conv_state: object = None, **params: object) -> Sequence[Self]:
        kinds = {"action_type": ReserveAction, "observation_type": ReserveObservation}
        return [cls(description="Reserve some of an article.", executor=ReserveExecutor(), **kinds)]


def says(text: str, *calls: tuple[str, dict]) -> Message:
    made = [
        MessageToolCall(id=f"call_{next(NUMBERS)}", name=name, arguments=json.dumps(given), origin="completion")
        for name, given in calls
    ]
    return Message(role="assistant", content=[TextContent(text=text)], tool_calls=made or None)


def main(out: Path) -> None:
    register_tool("reserve", ReserveTool)
    script = [
        says("Both at once.", ("reserve", {"article": "lamp", "count": 2}), ("think", {"thought": "one more"})),
        says("One more.", ("reserve", {"article": "lamp", "count": 1})),
        says("Everything is reserved."),
        says("A table, too.", ("reserve", {"article": "table"})),
        says("", ("no_such_tool", {"article": "table"})),
        says("", ("finish", {"message": "There are no tables."})),
        says("Now the chair.", ("reserve", {"article": "lamp", "count": 1})),
        ConnectionError("the model's provider is overloaded"),
    ]
    agent = Agent(llm=TestLLM.from_messages(script), tools=[Tool(name="reserve")])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("shop")
        conversation = Conversation(
            agent, workspace="shop", persistence_dir="kept", conversation_id=UUID(int=7), visualizer=None
        )
        for task in ("Reserve three lamps.", "Reserve a table.", "Reserve one more lamp and a chair."):
            conversation.send_message(task)
            with contextlib.suppress(ConversationRunError):
                conversation.run()
        conversation.close()
        (kept,) = [path.parent for path in Path("kept").rglob("base_state.json")]
        shutil.rmtree(out / "openhands", ignore_errors=True)
        shutil.copytree(kept, out / "openhands", ignore=shutil.ignore_patterns(".*"))
        first = next((out / "openhands" / "events").glob("event-00000-*.json"))
        event = json.loads(first.read_text())
        event["system_prompt"] = {"type": "text", "text": "(11,000 characters of the SDK's own are left out here)"}
        first.write_text(json.dumps(event | {"tools": [], "dynamic_context": None}))
        os.chdir("/")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
