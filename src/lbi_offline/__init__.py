"""A rule-based policy that stands in for a language model, so that a whole run takes minutes and needs no model.

Tests use it to exercise the real pipeline. It is no language model and knows no application, and its numbers are its own.
"""
