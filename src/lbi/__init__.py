"""Learn-by-interact: make an agent better at one application by interacting with it (arXiv 2501.10893)."""

__version__ = "0.1.0"
