"""The interpreter that OSWorld's getters and metrics run in: the user's own, or one made once, without torch."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

from lbi.benchmarks.osworld.evaluators import ROOT, Evaluators
from lbi.benchmarks.osworld.places import Places
from lbi.benchmarks.swebench.sdists import cache_folder, uv
from lbi.errors import UserError
from lbi.records import digest_of
from lbi.sandbox.host import plain, run_on_host
from lbi.sandbox.interpreter import prefixes
from lbi.storage.build_once import build_once

#: of the official evaluators; its own requirements (torch, wandb, four clouds) are left out
PACKAGE = "desktop-env==1.0.2"
#: what its getters and metrics import, as wheels; easyocr brings torch, odfpy, fastdtw and pydrive have none
REQUIREMENTS = (
    "beautifulsoup4==4.15.0",
    "borb==2.1.25",
    "chardet==7.7.0",
    "cssselect==1.6.0",
    "formulas==1.3.4",
    "imagehash==4.3.2",
    "librosa==0.11.0",
    "lxml==6.1.3",
    "mutagen==1.48.1",
    "numpy==1.26.4",
    "opencv-python-headless==4.11.0.86",
    "openpyxl==3.1.5",
    "pandas==2.2.3",
    "pdfplumber==0.11.9",
    "pillow==11.0.0",
    "playwright==1.65.2",
    "pyacoustid==1.3.1",
    "pymupdf==2.0",
    "pypdf==7.1.1",
    "pypdf2==3.0.1",
    "python-docx==1.2.0",
    "python-pptx==1.0.2",
    "pytz==2024.2",
    "pyyaml==6.0.4",
    "rapidfuzz==3.14.6",
    "requests==2.34.2",
    "requests-toolbelt==1.0.0",
    "scikit-image==0.26.0",
    "tldextract==5.4.0",
    "xmltodict==1.0.4",
)


@dataclass(frozen=True)
class Interpreter:
    """``python`` and what of its folders a sandbox has to show; ``evaluators`` are read from ``folder``."""

    python: Path
    folder: Path

    @property
    def binds(self) -> tuple[Path, ...]:
        return (*prefixes(self.python), self.folder)

    def evaluators(self) -> Evaluators:
        return Evaluators(self.folder, _packages(self.python))


def find_interpreter(places: Places) -> Interpreter:
    """Blocking; the first time minutes where none is given. Raises UserError."""
    python = Path(places.python) if places.python else _made() / "bin" / "python"
    prefixes(python)  # raises where it is none
    folder = places.evaluators_folder or next(
        (each / ROOT for each in _packages(python) if (each / ROOT).is_dir()), None
    )
    if folder is None:
        raise UserError(f'{python} has no package desktop-env: install it there, or set evaluators = "checkout"')
    return Interpreter(python, folder)


def _packages(python: Path) -> tuple[Path, ...]:
    """Where an interpreter looks for packages, without running it."""
    return tuple(sorted(python.absolute().parent.parent.glob("lib*/python3*/*-packages")))


def _compile(folder: Path) -> None:
    """By our own interpreter; a sandbox, which cannot write there, would compile everything for each score."""
    command = [sys.executable, "-I", "-S", "-m", "compileall", "-q", str(folder / "lib")]
    with contextlib.suppress(OSError):  # what is not compiled here is compiled where it runs
        run_on_host(command, env=plain(), timeout=1800)


def _made() -> Path:
    folder = cache_folder().with_name("osworld") / digest_of(
        [PACKAGE, REQUIREMENTS, sys.version_info[:2], sys.base_prefix]
    )
    with build_once(folder) as empty:
        if empty is not None:
            action = "installing what OSWorld's evaluators need"
            uv("venv", "-q", "--allow-existing", "--python", sys.executable, str(folder), action=action)
            options = ("-q", "--no-build", "--link-mode", "copy", "--python", str(folder / "bin" / "python"))
            uv("pip", "install", *options, "--", *REQUIREMENTS, action=action, timeout=1800)
            uv("pip", "install", *options, "--no-deps", "--", PACKAGE, action=action)
            _compile(folder)
    return folder
