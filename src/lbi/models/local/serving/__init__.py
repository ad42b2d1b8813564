"""The process that runs a model: an OpenAI-compatible server on loopback around one engine, which needs our key.

Started by ``lbi.models.local.server``; ``python -m lbi.models.local.serving`` reads an Order as a line of JSON.
"""
