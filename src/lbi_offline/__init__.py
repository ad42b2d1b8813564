"""A rule-based policy that stands in for a language model: a whole run in minutes, without a model and without a key.

Tests use it to exercise the real pipeline. It is no language model, knows no application, and its numbers are its own.
"""
