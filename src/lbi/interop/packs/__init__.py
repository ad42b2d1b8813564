"""Tasks of a run with checks of their state, as other harnesses take them: Harbor's folders, a taskset of verifiers."""
