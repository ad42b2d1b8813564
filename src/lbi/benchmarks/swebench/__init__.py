"""Repositories with bugs: instances of SWE-bench's kind -> a base tree, a sandbox, tests run, a grade."""
