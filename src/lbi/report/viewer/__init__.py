"""A run folder, which may be at work -> pages in the browser: steps, prompts, votes and examples, to look at and judge.

Pages are made here, on request, and escaped; the script only looks again and unfolds. Nothing of a run is written.
"""
