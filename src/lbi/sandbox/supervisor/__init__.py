"""The process that keeps a sandbox: trusted, started anew for each, standard library only so that it starts at once.

It makes the mounts, starts the shell in bubblewrap, watches over its limits and does what is asked of its files. What
runs in the sandbox can neither see nor signal it; when it ends, for whatever reason, everything in the sandbox ends.
"""
