"""An index that a run has built -> a copy of one's own, as the run may be replacing it just now."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path


def borrow_index(run: Path, name: str, folder: Path) -> Path:
    """Where in ``folder`` the index ``name`` is to be built; of what fits of the run's own, nothing is built anew."""
    target = folder / "index" / name
    with contextlib.suppress(OSError, shutil.Error):
        if (run / "index" / name).is_dir():
            shutil.copytree(run / "index" / name, target)
    return target
