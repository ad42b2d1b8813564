"""Suites: benchmarks of several applications each, in a checkout that somebody made. ``lbi run SUITE:NAME --checkout``.

One folder or file for each. ``write(name, checkout, folder)`` makes of one of its applications the files that any
application has (application.toml, tasks.toml, lbi.toml) and returns the config; ``members(checkout)`` names them.
"""
