"""A check -> what it names and the application does not have: "no such column: nmae", asked of its pristine state.

Nothing of a check is carried out: a query is explained on a copy of the database, code is compiled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lbi.environments.web.application import Application
from lbi.environments.web.backend import ManagedApplication
from lbi.environments.web.check_sandbox import CheckSandbox, path_of, problem_of
from lbi.environments.web.database import copy_database
from lbi.errors import ScoreError
from lbi.records import Check
from lbi.sandbox.host import program

#: programs whose first argument that is no option is a file with code
_INTERPRETERS = ("{python}", "python", "python3", "sh", "bash", "dash", "node", "perl", "ruby", "php")


async def mistakes(
    check: Check, application: Application, managed: ManagedApplication | None, sandbox: CheckSandbox
) -> list[str]:
    """One line for each; installs the application where there is something to look up.

    Raises UserError, also where a command of a check would find no sandbox on this machine.
    """
    if check.command and (managed or application.folder):
        if not sandbox.unsafe and (problem := problem_of(check.command, application)):
            return [f"check.command {check.command!r}: {problem}"]
        await sandbox.try_out()
    if managed is None:
        known = {"sql": application.state.database_url, "command": application.folder}
        named = [name for name, where in known.items() if getattr(check, name) and not where]
        return [
            f"check.{name}: {application.name} is not run by us, so its state cannot be looked at" for name in named
        ]
    if check.sql and not application.state.database and not application.state.database_url:
        return [f"check.sql: {application.name} names no state.database that could be asked"]
    if not check.sql and not check.command:
        return []
    installed = await managed.installed()
    path = None if sandbox.unsafe else path_of(installed.python)
    told = _of_command(check.command, installed.pristine, path)
    found = [f"check.command {check.command!r}: {each}" for each in told]
    database = installed.pristine / application.state.database
    if check.sql and database.is_file() and (problem := await asyncio.to_thread(_of_query, check.sql, database)):
        # some applications make their tables when they start
        problem = await _of_running(check.sql, managed)
        found += [f"check.sql {check.sql!r}: {problem}"] if problem else []
    return found


def _of_query(sql: str, database: Path) -> str:
    """Why the query cannot be asked of the database; "" if it can."""
    with tempfile.TemporaryDirectory(prefix="lbi-check-") as folder:
        copy = Path(folder, "copy.db")
        copy_database(database, copy)
        with contextlib.closing(sqlite3.connect(copy)) as db:
            try:
                db.execute(f"EXPLAIN {sql}").fetchall()
            except (sqlite3.Error, ValueError) as error:
                return str(error)
    return ""


async def _of_running(sql: str, managed: ManagedApplication) -> str:
    backend = await managed.start()
    try:
        backend.query(f"EXPLAIN {sql}")
    except ScoreError as error:
        return str(error.__cause__ or error)
    finally:
        await backend.stop()
    return ""


def _of_command(command: Sequence[str], state: Path, path: str | None) -> Iterator[str]:
    """``path``: the folders of programs in the sandbox; None = those of this machine."""
    if not command:
        return
    name, arguments = command[0], command[1:]
    if "{" not in name and not _is_program(name, path):
        yield f"there is no program {name}"
    if os.path.basename(name) not in _INTERPRETERS or not arguments:
        return
    if "py" in name and arguments[0] == "-c" and len(arguments) > 1:
        try:
            compile(arguments[1], "<check>", "exec")
        except (SyntaxError, ValueError) as error:
            yield f"its code is no Python ({error})"
    script = arguments[0].replace("{state}", str(state))
    if not script.startswith(("-", "{")) and not (state / script).exists():
        yield f"there is no file {arguments[0]} in the application's state"


def _is_program(name: str, path: str | None) -> bool:
    if os.sep not in name:
        return program(name, path) is not None
    return os.path.isabs(name) and os.access(name, os.X_OK)
