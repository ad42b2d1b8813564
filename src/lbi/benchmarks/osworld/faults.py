"""What OSWorld got wrong, by task: found by doing nothing, judged by its own evaluators (docs/osworld.md)."""

FAULTS: dict[str, str] = {}
