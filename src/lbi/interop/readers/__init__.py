"""Readers of traces: one file for each format, called like it, with ``likelihood(source)`` and ``read(source)``."""
