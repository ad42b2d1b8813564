"""Modules that snippets of agents import, made of what moves mouse and keyboard here; their folder is on the path."""
