"""The authors' interpreters: the pins of a checkout's own set-up script -> virtual environments, made once by uv.

``pip install dbt-core==1.7.13 dbt-duckdb==1.7.4`` in the function ``setup_dbt`` of the script -> the environment "dbt".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lbi.benchmarks.swebench.interpreters import interpreter
from lbi.errors import UserError
from lbi.sandbox.interpreter import prefixes

SCRIPT = "evaluation_examples/examples/spider2v_snapshot.sh"
PYTHON = "3.11"  # what the script makes all of them with
#: Not installed, by their beginnings: they have no wheels or bring a server that only tasks ask for that need Docker
LEFT_OUT = ("mysqlclient", "apache-airflow", "dagster-airflow", "dagster-airbyte", "dagster-cloud", "papermill-origami")
#: What came along at the authors' time, as the newest of then. Newer ones do not fit the pins.
OF_THEN = {
    "dbt": ("duckdb==0.10.2", "protobuf<5", "setuptools<81", "click<8.2"),
    "dagster": ("numpy<2", "setuptools<81", "pip", "nbformat", "ipykernel", "protobuf<5", "httpx<0.28"),
    "jupyter": ("setuptools<81",),
}
#: Of what these ask for without a wheel: a newer one, and none, as its place is taken by a shim (home/.shims/python)
_FOR_DBT = ("logbook>=1.6,<1.7", "minimal-snowplow-tracker ; python_version < '3'")
OVERRIDES = {"dbt": _FOR_DBT, "dagster": _FOR_DBT}
#: What the authors' metrics import that these tasks need
GRADER = (
    "openpyxl==3.1.5",
    "pandas==2.2.2",
    "numpy<2",
    "rapidfuzz",
    "formulas==1.2.8",
    "lxml",
    "cssselect",
    "xmltodict",
    "nbformat==5.10.4",
    "duckdb==0.10.2",
    "pyyaml",
    "pillow",
    "opencv-python-headless<4.11",
)
_FUNCTION = r"^function setup_{name}\(\) \{{\n(.*?)^\}}"
_PIN = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])?(?:[=<>~!]=[\w.*]+)?\Z")


def pins(checkout: Path, name: str) -> tuple[str, ...]:
    """What the set-up script installs into the environment ``name``. Raises UserError where it says nothing of it."""
    try:
        text = (checkout / SCRIPT).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{checkout} has no {SCRIPT}, which says what to install; fetch it whole") from None
    body = re.search(_FUNCTION.format(name=re.escape(name)), text, re.S | re.M)
    lines = re.findall(r"^\s*pip install (.+)$", body[1], re.M) if body else []
    words = [word.strip("'\"") for line in lines for word in line.split(" #")[0].split() if not word.startswith("-")]
    found = tuple(dict.fromkeys(word for word in words if _PIN.match(word) and not word.startswith(LEFT_OUT)))
    if not found:
        raise UserError(f"{checkout / SCRIPT} does not say what the environment {name!r} holds; is it another version?")
    return found


def environment(checkout: Path, name: str, cache: Path | None = None) -> Path:
    """The folder of the authors' environment ``name``. Blocking, up to a minute the first time. Raises UserError."""
    return interpreter((*pins(checkout, name), *OF_THEN.get(name, ())), cache, PYTHON, OVERRIDES.get(name, ()))


def grader(cache: Path | None = None) -> Path:
    """The interpreter that runs the authors' metrics. Blocking. Raises UserError."""
    return interpreter(GRADER, cache, PYTHON) / "bin" / "python"


def shown(folders: Sequence[Path]) -> tuple[str, ...]:
    """The folders that a sandbox must show for these environments to run."""
    return tuple(dict.fromkeys(str(path) for folder in folders for path in prefixes(folder / "bin" / "python")))
