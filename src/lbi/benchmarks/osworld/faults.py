"""What OSWorld got wrong, by task: found by doing nothing, judged by its own evaluators (docs/osworld.md)."""

FAULTS: dict[str, str] = {
    "99146c54-4f37-4ab8-9327-5f3291665e1e": (
        "scores 1 when nothing is done: any setting for contents passes for the one asked for, and Chromium has some"
    ),
}
