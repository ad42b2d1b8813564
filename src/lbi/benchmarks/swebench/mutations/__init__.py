"""Bugs made on purpose: a repository and its tests -> tasks whose solution is known."""
