"""A database of PostgreSQL or MySQL: put back from a snapshot while the application runs on it, hashed and queried.

It is spoken to by the server's own programs (psql and pg_dump, mysql and mysqldump), so no driver is needed. A restore
is one transaction (PostgreSQL) or a script (MySQL) and leaves the application's connections open.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from lbi.environments.web.application import State
from lbi.environments.web.database import timeless
from lbi.environments.web.digests import hash_of
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.sandbox.host import plain, program, run_on_host

SECONDS = 300.0  # for a snapshot or a copy
QUERY_SECONDS = 10
LOCK_SECONDS = 10  # to wait for the application's transactions
_copies = count(1)


class Address(NamedTuple):
    """A database and how its server is reached."""

    kind: str  # postgresql or mysql
    host: str  # a name, or the path of a socket
    port: str
    user: str
    password: str
    name: str


def parse_address(url: str) -> Address:
    """``postgresql://user:password@host:port/name``; ``?host=/run/x`` or ``?unix_socket=/run/x`` for a socket."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in ("postgresql", "mysql") or not name:
        raise UserError("state.database_url is no address such as postgresql://user:password@127.0.0.1:5432/name")
    host = query.get("host") or query.get("unix_socket") or query.get("socket") or parts.hostname or "127.0.0.1"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(parts.scheme, host, str(parts.port or query.get("port", "")), user, password, name)


def open_server_database(url: str, state: State, folder: Path, own: bool) -> ServerDatabase:
    """The database at ``url``, or with ``own`` a copy of it that only we use. Blocking. Raises UserError."""
    kinds: dict[str, type[ServerDatabase]] = {"postgresql": PostgreSQL, "mysql": MySQL}
    address = parse_address(url)
    kind = kinds[address.kind]
    for programs in kind.programs:
        if not any(program(name) for name in programs):
            raise UserError(f"state.database_url needs the program {' or '.join(programs)}, which is not on PATH")
    pristine = kind(address, state, url)
    try:
        snapshot = folder / "pristine.sql"
        pristine.dump(snapshot)
        if not own:
            return pristine
        pristine.remove_leftovers()
        return pristine.copied(snapshot)
    except EnvironmentFailure as error:  # it has never worked yet, so the file is wrong, or its server is not up
        raise UserError(f"state.database_url: {error}") from None


class ServerDatabase(ABC):
    """One database; what differs between servers is in the classes below."""

    programs: tuple[tuple[str, ...], ...] = ()

    def __init__(self, address: Address, state: State, url: str) -> None:
        self.address = address
        self.url = url
        self._state = state
        self._ignored_tables = {name.casefold() for name in state.ignore_tables}
        self._ignored_columns = {name.casefold() for name in state.ignore_columns}
        self._temporary = False

    @property
    def name(self) -> str:
        return self.address.name

    def copied(self, snapshot: Path) -> ServerDatabase:
        """A database of its own on the same server, filled from a snapshot, and dropped by ``close``."""
        name = f"{_prefix()}{os.getpid()}_{next(_copies)}"
        self.run(f"CREATE DATABASE {name}")
        parts = urlsplit(self.url)
        other = type(self)(self.address._replace(name=name), self._state, urlunsplit(parts._replace(path=f"/{name}")))
        other._temporary = True
        other.restore(snapshot)
        return other

    def digest(self) -> str:
        """Hash of the rows of all tables and columns that are not ignored; their order does not matter."""
        return hash_of("\n".join(sorted(timeless(row) for row in self._rows())))

    def close(self) -> None:
        """Drop a copy; harmless when done before."""
        if self._temporary:
            self._temporary = False
            self._drop(self.name)

    def remove_leftovers(self) -> None:
        """Drop the copies of processes of this machine that were killed."""
        for name in self._databases():
            pid = name.removeprefix(_prefix()).partition("_")[0]
            if name.startswith(_prefix()) and pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
                self._drop(name)

    def counts(self, table: str, column: str) -> bool:
        """Whether a column is part of the state."""
        ignored = {f"*.{column}".casefold(), f"{table}.{column}".casefold()} & self._ignored_columns
        return not ignored and table.casefold() not in self._ignored_tables

    @abstractmethod
    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of one statement that only reads, as text. Raises ScoreError for anything else, or after ten seconds."""

    @abstractmethod
    def run(self, sql: str, database: str = "") -> str: ...

    @abstractmethod
    def dump(self, target: Path) -> None: ...

    @abstractmethod
    def restore(self, snapshot: Path) -> None: ...

    @abstractmethod
    def _rows(self) -> list[str]: ...

    @abstractmethod
    def _databases(self) -> list[str]: ...

    @abstractmethod
    def _drop(self, name: str) -> None: ...

    def _call(self, command: Sequence[str], env: dict[str, str], stdin: bytes = b"", seconds: float = SECONDS) -> bytes:
        try:
            done = run_on_host(command, env=plain() | env, timeout=seconds, stdin=stdin)
        except (OSError, TimeoutError) as error:
            raise EnvironmentFailure(f"{command[0]} on the database {self.name}: {error}") from error
        if done.exit_code:
            raise EnvironmentFailure(f"{command[0]} on the database {self.name}: {done.last_errors(3)}")
        return done.output


class PostgreSQL(ServerDatabase):
    """By ``psql`` and ``pg_dump``."""

    programs = (("psql",), ("pg_dump",))
    #: everything goes, tables that were added too; the dump makes it again
    _EMPTY = """
        SET lock_timeout = '{seconds}s'; SET client_min_messages = warning;
        DO $$ DECLARE each text; BEGIN
          FOR each IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
          LOOP EXECUTE format('DROP SCHEMA %I CASCADE', each); END LOOP;
        END $$;
        CREATE SCHEMA public;
        GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC;
    """
    _COLUMNS = """SELECT table_schema, table_name, column_name FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE' AND table_schema !~ '^pg_' AND table_schema <> 'information_schema'
        ORDER BY table_schema, table_name, ordinal_position;"""

    def run(self, sql: str, database: str = "") -> str:
        """What statements print, as CSV."""
        return self._psql(sql.encode(), database).decode("utf-8", "replace")

    def query(self, sql: str) -> list[tuple[object, ...]]:
        options = f"-c default_transaction_read_only=on -c statement_timeout={QUERY_SECONDS}s"
        try:
            text = self._psql(sql.encode(), options=options).decode("utf-8", "replace")
        except EnvironmentFailure as error:
            raise ScoreError(f"the query failed: {error}: {sql}") from error
        return [tuple(row) for row in csv.reader(io.StringIO(text))]

    def dump(self, target: Path) -> None:
        command = ["pg_dump", "--no-owner", "--no-privileges", f"--file={target}"]
        self._call(command, self._env())

    def restore(self, snapshot: Path) -> None:
        text = snapshot.read_bytes().replace(b"\nCREATE SCHEMA public;\n", b"\n")
        self._psql(self._EMPTY.format(seconds=LOCK_SECONDS).encode() + text, one_transaction=True)

    def _rows(self) -> list[str]:
        tables: dict[tuple[str, str], list[str]] = {}
        for schema, table, column in csv.reader(io.StringIO(self.run(self._COLUMNS))):
            if self.counts(table, column):
                tables.setdefault((schema, table), []).append(column)
        if not tables:
            return []
        selects = [
            f"SELECT {_text(f'{schema}.{table}({columns})')}, {', '.join(map(_name, columns))} "
            f"FROM {_name(schema)}.{_name(table)};"
            for (schema, table), columns in tables.items()
        ]
        whole = self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;" + "".join(selects) + "COMMIT;")
        return ["\t".join(row) for row in csv.reader(io.StringIO(whole))] + [str(tables)]

    def _databases(self) -> list[str]:
        return self.run("SELECT datname FROM pg_database").split()

    def _drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", "postgres")

    def _psql(self, sql: bytes, database: str = "", options: str = "", one_transaction: bool = False) -> bytes:
        command = ["psql", "-X", "-q", "-t", "--csv", "-v", "ON_ERROR_STOP=1", *(["-1"] if one_transaction else [])]
        env = self._env() | ({"PGDATABASE": database} if database else {}) | ({"PGOPTIONS": options} if options else {})
        return self._call([*command, "-f", "-"], env, sql)

    def _env(self) -> dict[str, str]:
        at = self.address
        given = {"PGHOST": at.host, "PGPORT": at.port, "PGUSER": at.user, "PGPASSWORD": at.password}
        return {name: value for name, value in given.items() if value} | {"PGDATABASE": at.name}


class MySQL(ServerDatabase):
    """By ``mysql`` and ``mysqldump``, or MariaDB's."""

    programs = (("mysql", "mariadb"), ("mysqldump", "mariadb-dump"))
    _TABLES = "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    _COLUMNS = """SELECT table_name, column_name FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name, ordinal_position"""

    def run(self, sql: str, database: str = "") -> str:
        """What statements print: a line for each row, columns by tab."""
        return self._mysql(sql.encode(), database).decode("utf-8", "replace")

    def query(self, sql: str) -> list[tuple[object, ...]]:
        begin = f"SET max_statement_time = {QUERY_SECONDS};" if self._is_mariadb() else ""
        begin += "SET SESSION TRANSACTION READ ONLY; START TRANSACTION;"
        try:
            text = self.run(f"{begin}\n{sql}")
        except EnvironmentFailure as error:
            raise ScoreError(f"the query failed: {error}: {sql}") from error
        return [tuple(_unescaped(value) for value in line.split("\t")) for line in text.splitlines()]

    def dump(self, target: Path) -> None:
        name = "mysqldump" if program("mysqldump") else "mariadb-dump"
        command = [name, *self._reached(), "--single-transaction", "--routines", "--triggers", "--skip-comments"]
        target.write_bytes(self._call([*command, self.name], self._env()))

    def restore(self, snapshot: Path) -> None:
        names = [line.split("\t") for line in self.run(self._TABLES).splitlines()]
        drops = [f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} IF EXISTS {_ticked(name)};" for kind, name in names]
        before = f"SET lock_wait_timeout = {LOCK_SECONDS}; SET FOREIGN_KEY_CHECKS = 0;{''.join(drops)}\n"
        self._mysql(before.encode() + snapshot.read_bytes())

    def _rows(self) -> list[str]:
        tables: dict[str, list[str]] = {}
        for line in self.run(self._COLUMNS).splitlines():
            table, column = line.split("\t")
            if self.counts(table, column):
                tables.setdefault(table, []).append(column)
        selects = [
            f"SELECT {_text(f'{table}({columns})')}, {', '.join(map(_ticked, columns))} FROM {_ticked(table)};"
            for table, columns in tables.items()
        ]
        begin = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION READ ONLY;"
        return [*self.run(begin + "".join(selects)).splitlines(), str(tables)] if selects else []

    def _databases(self) -> list[str]:
        return self.run("SHOW DATABASES").split()

    def _drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name}", "information_schema")

    def _is_mariadb(self) -> bool:
        return "mariadb" in self.run("SELECT VERSION()").casefold()

    def _mysql(self, sql: bytes, database: str = "") -> bytes:
        name = "mysql" if program("mysql") else "mariadb"
        command = [name, *self._reached(), "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
        return self._call([*command, database or self.name], self._env(), sql)

    def _reached(self) -> list[str]:
        at = self.address
        way = ["--socket", at.host] if at.host.startswith("/") else ["--protocol=tcp", "--host", at.host]
        way += ["--port", at.port] if at.port and not at.host.startswith("/") else []
        return ["--no-defaults", *way, *(["--user", at.user] if at.user else [])]

    def _env(self) -> dict[str, str]:
        return {"MYSQL_PWD": self.address.password} if self.address.password else {}


def _prefix() -> str:
    """Of the names of this machine's copies, as several machines may share a server."""
    return f"lbi_{hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()}_"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _ticked(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"


def _text(text: str) -> str:
    return "'" + text.replace("\\", "").replace("'", "''") + "'"


def _unescaped(value: str) -> str | None:
    if value == "NULL":
        return None
    for written, meant in (("\\t", "\t"), ("\\n", "\n"), ("\\0", "\0"), ("\\\\", "\\")):
        value = value.replace(written, meant)
    return value
