"""Installs an application: its own interpreter and its pristine state, both made once and cached.

A folder counts as made only with its marker file in it, so one that a killed run left unfinished is made again.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lbi.environments.web.application import Application, expand
from lbi.errors import UserError
from lbi.records import digest_of
from lbi.sandbox.host import inherited, program, run_on_host
from lbi.storage.build_once import build_once

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Installed:
    """Where an application's interpreter, packages and pristine state lie."""

    python: str
    site_packages: str
    pristine: Path


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lbi" / "apps"


def application_environ(application: Application) -> dict[str, str]:
    """Variables of the application's processes: a few harmless ones of ours and its own, so none of our keys."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {name: expand(value, application) for name, value in application.environ.items()}


def filled_in(text: str, values: dict[str, str]) -> str:
    """A part of a command with its placeholders filled in, such as ``{"{port}": "8000"}``."""
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def install(application: Application, cache: Path | None = None) -> Installed:
    """Blocking, minutes the first time. Raises UserError with the last lines of what failed."""
    cache = cache or default_cache()
    python, packages = _interpreter(application, cache)
    pristine = cache / f"{application.name}-state-{_state_key(application)}"
    with build_once(pristine) as folder:
        if folder is not None:
            _prepare(application, python, folder)
    return Installed(python, packages, pristine / "state")


def version_of(application: Application) -> str:
    """Hash of everything that decides what is run, as far as the application's file names it. Raises UserError."""
    return digest_of([application.fingerprint, _state_key(application)])


def _state_key(application: Application) -> str:
    prepare = application.prepare
    made_by = (application.requirements, prepare.script, application.environ, application.state.database)
    files = shipped_files(application)
    contents = [sorted((path, sha256(file.read_bytes()).hexdigest()) for path, file in files.items())] if files else []
    command = [prepare.command] if prepare.command else []
    return digest_of([application.name, *made_by, *command, *contents])


def shipped_files(application: Application) -> dict[str, Path]:
    """What ``state.files`` and ``prepare.copy`` bring in, by the path within the state folder. Raises UserError."""
    files = _files_beside(application)
    for path in application.prepare.copy_:
        source = Path(application.folder, Path(path).expanduser())
        name = source.resolve().name
        if source.is_file():
            files[name] = source
        elif found := _files_in(source):
            files |= {f"{name}/{within}": file for within, file in found.items()}
        else:
            raise UserError(f"{application.name}: prepare.copy names {source}, which is no file, nor a folder with any")
    return files


def _files_beside(application: Application) -> dict[str, Path]:
    if not application.state.files:
        return {}
    if not application.folder:
        raise UserError(f"{application.name}: state.files is a folder beside the application's file, and it has none")
    folder = Path(application.folder, application.state.files)
    if files := _files_in(folder):
        return files
    raise UserError(f"{application.name}: state.files names {folder}, which is no folder with files in it")


def _files_in(folder: Path) -> dict[str, Path]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    return {str(file.relative_to(folder)): file for file in files}


def _interpreter(application: Application, cache: Path) -> tuple[str, str]:
    python = sys.executable
    if application.requirements:
        key = digest_of([application.requirements, sys.version_info[:2], sys.prefix])
        venv = cache / f"{application.name}-venv-{key}"
        with build_once(venv) as folder:
            if folder is not None:
                _build_venv(application, folder)
        python = str(venv / "bin" / "python")
    # "purelib" is also where the packages of a virtual environment lie
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return python, _run([python, "-c", code], "asking the interpreter for its packages").strip()


def _build_venv(application: Application, folder: Path) -> None:
    action = f"installing {', '.join(application.requirements)}"
    # PYTHON* variables are for our process: warnings as errors, or other paths, would break the installer
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    uv = program("uv")
    python = str(folder / "bin" / "python")
    if uv:
        _run([uv, "venv", "--allow-existing", "-q", "--python", sys.executable, str(folder)], action, env=env)
        _run([uv, "pip", "install", "-q", "--python", python, *application.requirements], action, env=env)
    else:
        _run([sys.executable, "-m", "venv", str(folder)], action, env=env)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
        _run([*pip, *application.requirements], action, env=env)


def _prepare(application: Application, python: str, folder: Path) -> None:
    state = folder / "state"
    state.mkdir()
    for path, file in shipped_files(application).items():
        target = state / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        # an installed file may be read-only, and the application may want to write to its own
        target.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
    action = f"preparing the state of {application.name}"
    if application.prepare.command:
        values = {"{python}": python, "{state}": str(state), "{folder}": application.folder}
        command = [filled_in(part, values) for part in application.prepare.command]
        _run(command, action, cwd=state, env=application_environ(application))
    if application.prepare.script:
        script = folder / "prepare.py"
        script.write_text(application.prepare.script, "utf-8")
        _run([python, str(script)], action, cwd=state, env=application_environ(application))
    database = application.state.database
    if database and not (state / database).is_file():
        raise UserError(f"{application.name}: its prepare made no {database} (state.database)")


def _run(command: list[str], action: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    try:
        done = run_on_host(command, cwd=cwd, env=inherited() if env is None else env, timeout=1800)
    except OSError as error:
        raise UserError(f"{action} failed: {error}") from None
    if done.exit_code:
        last = "\n".join((done.errors or done.output).decode("utf-8", "replace").strip().splitlines()[-12:])
        raise UserError(f"{action} failed (exit {done.exit_code}):\n{last}")
    return done.text
