"""Repositories with bugs, as SWE-bench has them: instances are built, worked on, and graded by their tests."""
