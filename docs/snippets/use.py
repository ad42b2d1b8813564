"""Use what a run has learnt: see what an agent would be shown, then let it carry out one instruction."""

from __future__ import annotations

import sys

import lbi

run, instruction, *address = sys.argv[1:]  # the folder of a run, what is to be done, where the application runs

found = lbi.retrieve(run, instruction)  # a page may follow: an lbi.Observation, a file of `lbi look`, or a URL
for example in found.examples:
    print(f"{example.rank}. {example.instruction} (by the {example.why}, {example.tokens} tokens)")


def confirm(action: str, why: str) -> bool:
    """Asked before everything that may change something; False is told to the agent, and nothing is done."""
    return "delete" not in action.lower()


def on_step(step: lbi.Step, after: lbi.Observation) -> None:
    print(f"{step.observation.url}: {step.action.written}", after.error)


act = lbi.act(run, instruction, base_url="".join(address), confirm=confirm, on_step=on_step)
print(f"{act.status} after {len(act.trajectory.steps)} steps: {act.answer or act.error}")
print(f"{act.trajectory.usage.input_tokens} tokens; kept in {act.folder}")  # lbi.load_act(folder) reads it back
