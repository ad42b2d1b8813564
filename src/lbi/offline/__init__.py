"""The offline policy in parts: words (lexical), forms of a page, what a lesson teaches, the next action, labels."""
