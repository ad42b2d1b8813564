"""Writes a trajectory by Harbor's own models of ATIF, which check it.

PYTHONPATH=HARBOR_WHEEL python make_atif.py OUT.json        (tried with harbor 0.26.0: ATIF-v1.8)
"""

from __future__ import annotations

import sys
from pathlib import Path

from harbor.models.trajectories import (
    Agent,
    Metrics,
    Observation,
    ObservationResult,
    Step,
    SubagentTrajectoryRef,
    ToolCall,
    Trajectory,
)


def called(number: int, name: str, given: dict, result: str, text: str = "", **more: object) -> Step:
    call = ToolCall(tool_call_id=f"call_{number}", function_name=name, arguments=given)
    seen = ObservationResult(source_call_id=call.tool_call_id, content=result)
    metrics = Metrics(prompt_tokens=100 + number, completion_tokens=20, cached_tokens=50, cost_usd=0.001)
    kept = {"tool_calls": [call], "observation": Observation(results=[seen]), "metrics": metrics, **more}
    return Step(step_id=number, source="agent", message=text, **kept)


def helper() -> Trajectory:
    steps = [
        Step(step_id=1, source="user", message="Count the articles."),
        called(2, "look_up_stock", {"article": "lamp"}, "There are 4 of lamp."),
    ]
    return Trajectory(
        schema_version="ATIF-v1.8",
        session_id="s1",
        trajectory_id="helper",
        agent=Agent(name="counter", version="1"),
        steps=steps,
    )


def main(out: Path) -> None:
    both = [
        ToolCall(tool_call_id="call_6a", function_name="reserve", arguments={"article": "lamp", "count": 1}),
        ToolCall(tool_call_id="call_6b", function_name="notify", arguments={"text": "reserved"}),
    ]
    results = [
        ObservationResult(source_call_id="call_6a", content="Reserved 1 of lamp."),
        ObservationResult(source_call_id="call_6b", content="Sent."),
    ]
    delegated = ObservationResult(
        source_call_id="call_7",
        content="There are 4 of lamp.",
        subagent_trajectory_ref=[SubagentTrajectoryRef(trajectory_id="helper")],
    )
    ask = ToolCall(tool_call_id="call_7", function_name="delegate", arguments={"to": "counter"})
    trajectory = Trajectory(
        schema_version="ATIF-v1.8",
        session_id="s1",
        trajectory_id="t1",
        agent=Agent(name="keeper", version="3.1", model_name="test-model"),
        steps=[
            Step(step_id=1, source="system", message="You keep a warehouse."),
            Step(step_id=2, source="user", message="An earlier task.", is_copied_context=True),
            called(3, "reserve", {"article": "chair"}, "Reserved 1 of chair.", is_copied_context=True),
            Step(step_id=4, source="user", message="Reserve three lamps."),
            called(
                5,
                "reserve",
                {"article": "lamp", "count": 2},
                "Reserved 2 of lamp.",
                "Two first.",
                reasoning_content="There may be four.",
                llm_call_count=1,
            ),
            Step(step_id=6, source="agent", message="", tool_calls=both, observation=Observation(results=results)),
            Step(
                step_id=7,
                source="agent",
                message="How many are left?",
                tool_calls=[ask],
                observation=Observation(results=[delegated]),
            ),
            Step(step_id=8, source="agent", message="Three lamps are reserved."),
        ],
        subagent_trajectories=[helper()],
    )
    out.write_text(trajectory.model_dump_json(exclude_none=True, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
