"""ATIF, Harbor's format of trajectories (v1.8): one JSON object for each example, with its instruction and verdicts.

A user's step with the instruction and the first page, then a step of the agent for each action with what it led to.
"""

from __future__ import annotations

from lbi.protocols import Json
from lbi.records import Action, Observation, Result, Trajectory
from lbi.training.export.conversations import Conversation, Exchange
from lbi.training.export.lengths import HARBOR
from lbi.training.export.sinks import JsonLines

__all__ = ["CONSUMERS", "ENDING", "episode", "open_sink", "row_of_conversation"]

ENDING = "jsonl"
CONSUMERS = (HARBOR,)
VERSION = "ATIF-v1.8"
open_sink = JsonLines


def row_of_conversation(conversation: Conversation) -> Json:
    example, trajectory = conversation.lesson.example, conversation.lesson.trajectory
    first = conversation.exchanges[0]
    steps: list[Json] = [
        {"step_id": 1, "source": "system", "message": conversation.system},
        {"step_id": 2, "source": "user", "message": first.shown},
    ]
    steps += [_step(conversation, each, number) for number, each in enumerate(conversation.exchanges, 3)]
    extra: Json = {
        "instruction": example.instruction,
        "kind": example.kind,
        "tier": example.tier,
        "span": [first.at, example.end],
        "environment": trajectory.task.environment,
        "document": example.document or trajectory.task.document,
        "split": conversation.side,
    }
    return _written(trajectory, example.id, steps, extra)


def _written(trajectory: Trajectory, id_: str, steps: list[Json], extra: Json) -> Json:
    return {
        "schema_version": VERSION,
        "session_id": trajectory.id,
        "trajectory_id": id_,
        "agent": {"name": trajectory.agent, "version": "lbi"},
        "steps": steps,
        "final_metrics": {"total_steps": len(steps)},
        "extra": extra,
    }


def episode(trajectory: Trajectory, result: Result) -> Json:
    """What an agent did on a held-out task, with its score; there is none where the environment or harness failed."""
    task, first = trajectory.task, trajectory.observations[0]
    steps: list[Json] = [{"step_id": 1, "source": "user", "message": f"{task.instruction}\n\n{first.text}"}]
    for number, step in enumerate(trajectory.steps, 2):
        calls = _calls(step.action, f"call-{number - 2}", trajectory.observations[number - 1])
        extra = {"grounded": step.action.grounded, "url": step.observation.url}
        steps.append({"step_id": number, "source": "agent", "message": step.reason, **calls, "extra": extra})
    scored = {"fault": result.fault} if result.fault else {"score": result.score}
    told: Json = {
        **{"task": result.task, "category": result.category, "environment": task.environment, "arm": result.arm},
        **{"seed": result.seed, "stop": trajectory.stop, "answer": trajectory.answer, "reason": result.reason},
        **scored,
    }
    return _written(trajectory, trajectory.id, steps, told)


def _calls(action: Action, call: str, led_to: Observation) -> Json:
    seen = f"{led_to.error}\n\n{led_to.text}" if led_to.error else led_to.text
    called = {"tool_call_id": call, "function_name": action.kind or "unknown", "arguments": {"action": action.text}}
    return {
        "tool_calls": [called],
        "observation": {"results": [{"source_call_id": call, "content": seen}]},
    }


def _step(conversation: Conversation, each: Exchange, number: int) -> Json:
    trajectory = conversation.lesson.trajectory
    step, led_to = trajectory.steps[each.at], trajectory.observations[each.at + 1]
    return {
        "step_id": number,
        "source": "agent",
        "message": each.reply,
        **_calls(step.action, f"call-{each.at}", led_to),
        "extra": {"learn": each.learn, "grounded": step.action.grounded, "url": step.observation.url},
    }
