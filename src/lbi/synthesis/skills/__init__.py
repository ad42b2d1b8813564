"""Verified examples -> skills: short instructions for what users do in an application (not in the paper)."""
