"""Environments on other machines: the run stays where it is, and its environments are actors of a Ray cluster.

``elsewhere`` opens them, ``remote`` is what a run sees, ``worker`` what lives on the other machine, ``wire`` what
passes between them, and ``rays`` the only module that knows Ray (decision 0051).
"""
