"""A mark for tests that start programs with windows; where their packages are not installed, these are skipped."""

from __future__ import annotations

import pytest

from lbi.environments.desktop.application import load_desktop
from lbi.environments.desktop.session import missing_packages
from lbi.errors import UserError
from lbi.sandbox.backends import find_bubblewrap


def _lacks() -> str:
    try:
        find_bubblewrap()
    except UserError:
        return "bubblewrap"
    return " ".join(missing_packages(load_desktop("debian")))


LACKS = _lacks()
needs_desktop = [
    pytest.mark.desktop,
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKS), reason=f"not installed: {LACKS}; `scripts/setup.sh desktop` as root"),
]
