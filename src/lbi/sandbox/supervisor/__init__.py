"""The supervisor of a sandbox: a trusted process, one for each, standard library only so that it starts at once.

It makes the mounts, starts the shell in bubblewrap, enforces its limits, and reads and writes its files on request.
What runs in the sandbox can neither see nor signal it. When it ends, for whatever reason, everything in the sandbox
ends with it.
"""
