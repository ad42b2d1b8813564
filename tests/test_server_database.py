"""PostgreSQL and MySQL, real servers of this machine: copied for a worker, put back while connections are open, asked.

Skipped where their programs are missing; scripts/setup.sh dev installs them for root on Debian.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lbi.environments.web.application import State, load_application
from lbi.environments.web.backend import ManagedApplication
from lbi.environments.web.server import free_port
from lbi.environments.web.server_database import ServerDatabase, open_server_database, parse_address
from lbi.errors import EnvironmentFailure, ScoreError, UserError

pytestmark = pytest.mark.slow

TABLES = """
CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(80), seen VARCHAR(40));
CREATE TABLE part (id INT PRIMARY KEY, item INT REFERENCES item (id));
CREATE TABLE log (n INT);
CREATE VIEW named AS SELECT name FROM item;
INSERT INTO item VALUES (1, 'a "first", with\ttab', 'never'), (2, 'second', NULL);
INSERT INTO part VALUES (1, 1);
"""
STATE = State(ignore_tables=("log",), ignore_columns=("*.seen",))
SERVE = """
import http.server, sys
address = (sys.argv[2], int(sys.argv[1]))
http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@dataclass
class Running:
    """A server with a pristine database."""

    url: str
    client: list[str]  # a program that reads statements from its input and keeps its connection open


def _binary(name: str) -> str:
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), "")
    found = found or next((path for path in (f"/usr/sbin/{name}",) if os.path.exists(path)), "")
    if not found:
        pytest.skip(f"no {name} on this machine")
    return found


@contextmanager
def _serving(command: list[str], ready: list[str], folder: Path, user: str) -> Iterator[None]:
    """A server that refuses to run as root runs as the user that its package made."""
    as_user = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, **as_user)  # type: ignore[call-overload]
        try:
            for _ in range(600):
                if subprocess.run(ready, capture_output=True).returncode == 0:
                    break
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
            yield
        finally:
            server.kill()
            server.wait()


@contextmanager
def _owned(user: str) -> Iterator[Path]:
    """A folder that the server's user may reach and write to, which none of pytest's is."""
    with tempfile.TemporaryDirectory(prefix="lbi-test-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield Path(folder)


def _as(user: str, *command: str) -> None:
    as_user = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(command, check=True, capture_output=True, cwd="/tmp", **as_user)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Running]:
    initdb, postgres = _binary("initdb"), _binary("postgres")
    if not shutil.which("psql") or not shutil.which("pg_dump"):
        pytest.skip("no psql or pg_dump on this machine")
    with _owned("postgres") as above:
        folder, port = above / "data", str(free_port())
        options = ("-U", "owner", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        _as("postgres", initdb, "-D", str(folder), *options)
        command = [postgres, "-D", str(folder), "-p", port, "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
        client = ["psql", "-X", "-q", "-t", "-h", "127.0.0.1", "-p", port, "-U", "owner"]
        with _serving(command, [*client, "-c", "SELECT 1", "postgres"], above, "postgres"):
            subprocess.run([*client, "-c", "CREATE DATABASE shop", "postgres"], check=True)
            subprocess.run([*client, "-v", "ON_ERROR_STOP=1", "shop"], input=TABLES.encode(), check=True)
            yield Running(f"postgresql://owner@127.0.0.1:{port}/shop", client)


@pytest.fixture(scope="module")
def mysql() -> Iterator[Running]:
    install, server = _binary("mariadb-install-db"), _binary("mariadbd")
    with _owned("mysql") as above:
        folder, port = above / "data", str(free_port())
        _as("mysql", install, "--no-defaults", f"--datadir={folder}", "--auth-root-authentication-method=normal")
        command = [server, "--no-defaults", f"--datadir={folder}", f"--port={port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={above}/sock", f"--pid-file={above}/pid", "--innodb-flush-log-at-trx-commit=0"]
        client = ["mysql", "--no-defaults", "-h", "127.0.0.1", "-P", port, "-u", "root", "-N", "-B", "-n"]
        with _serving(command, [*client, "-e", "SELECT 1"], above, "mysql"):
            subprocess.run([*client, "-e", "CREATE DATABASE shop"], check=True)
            subprocess.run([*client, "shop"], input=TABLES.encode(), check=True)
            yield Running(f"mysql://root@127.0.0.1:{port}/shop", client)


@pytest.fixture(params=["postgresql", "mysql"])
def running(request: pytest.FixtureRequest) -> Running:
    server: Running = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def copy(running: Running, tmp_path: Path) -> Iterator[ServerDatabase]:
    database = open_server_database(running.url, STATE, tmp_path, own=True)
    yield database
    database.close()
    database.close()
    assert database.name not in database_names(running, tmp_path)


def database_names(running: Running, folder: Path) -> list[str]:
    return open_server_database(running.url, STATE, folder, own=False)._databases()


def test_a_worker_has_a_copy_of_its_own(copy: ServerDatabase, running: Running, tmp_path: Path) -> None:
    pristine = open_server_database(running.url, STATE, tmp_path, own=False)
    assert copy.digest() == pristine.digest() != ""
    copy.run("INSERT INTO item VALUES (3, 'third', '')")
    assert copy.digest() != pristine.digest()
    assert pristine.query("SELECT COUNT(*) FROM item") == [("2",)]


def test_rows_tables_and_definitions_are_put_back(copy: ServerDatabase, tmp_path: Path) -> None:
    clean = copy.digest()
    for change in (
        "INSERT INTO item VALUES (3, 'third', '')",
        "DELETE FROM part; DELETE FROM item",
        "UPDATE item SET name = 'other'",
        "CREATE TABLE more (n INT); INSERT INTO more VALUES (1)",
        "DROP TABLE part",
        "ALTER TABLE item ADD COLUMN size INT",
    ):
        copy.run(change)
        assert copy.digest() != clean, change
        copy.restore(tmp_path / "pristine.sql")
        assert copy.digest() == clean, change
    assert copy.query("SELECT name FROM named ORDER BY name") == [('a "first", with\ttab',), ("second",)]


def test_what_does_not_count_does_not_count(copy: ServerDatabase) -> None:
    clean = copy.digest()
    copy.run("UPDATE item SET seen = 'now'")
    copy.run("INSERT INTO log VALUES (1)")
    assert copy.digest() == clean
    copy.run(f"UPDATE item SET name = '{int(time.time())}' WHERE id = 2")
    one = copy.digest()
    copy.run(f"UPDATE item SET name = '{int(time.time()) - 60}' WHERE id = 2")
    assert copy.digest() == one != clean  # moments of today are all one


def test_an_open_connection_of_the_application_goes_on(copy: ServerDatabase, running: Running, tmp_path: Path) -> None:
    talk = subprocess.Popen([*running.client, copy.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert talk.stdin is not None
    assert talk.stdout is not None

    def ask() -> str:
        assert talk.stdin is not None
        assert talk.stdout is not None
        talk.stdin.write(b"SELECT COUNT(*) FROM item;\n")
        talk.stdin.flush()
        while not (line := talk.stdout.readline().strip()):
            assert talk.poll() is None
        return line.decode()

    assert ask() == "2"
    copy.run("INSERT INTO item VALUES (3, 'third', '')")
    assert ask() == "3"
    copy.restore(tmp_path / "pristine.sql")
    assert ask() == "2"
    talk.stdin.close()
    talk.wait()
    talk.stdout.close()


@pytest.mark.parametrize("sql", ["DELETE FROM part", "SELECT * FROM nowhere", "CREATE TABLE x (n INT)"])
def test_queries_only_read(copy: ServerDatabase, sql: str) -> None:
    with pytest.raises(ScoreError, match="the query failed"):
        copy.query(sql)
    assert copy.query("SELECT COUNT(*) FROM part") == [("1",)]


def test_copies_of_killed_processes_are_dropped(copy: ServerDatabase, running: Running, tmp_path: Path) -> None:
    prefix = copy.name.removesuffix(copy.name.split("_", 2)[2])
    copy.run(f"CREATE DATABASE {prefix}999999999_1")
    other = open_server_database(running.url, STATE, tmp_path, own=True)
    names = database_names(running, tmp_path)
    assert f"{prefix}999999999_1" not in names
    assert {copy.name, other.name, "shop"} <= set(names)
    other.close()


async def test_an_application_on_it_is_put_back_and_asked(running: Running, tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(SERVE)
    file = tmp_path / "app.toml"
    file.write_text(f"""
name = "shop"
start = ["{{python}}", "{{state}}/serve.py", "{{port}}", "{{host}}", "{{database}}"]
[environ]
DATABASE_URL = "{{database_url}}"
[prepare]
copy = ["serve.py"]
[state]
database_url = "{running.url}"
ignore_columns = ["*.seen"]
""")
    managed = ManagedApplication(load_application(file), tmp_path / "cache")
    backend, other = await managed.start(), await managed.start()
    try:
        code = "import os, sys; print(os.environ['DATABASE_URL'], sys.argv[1])"
        done = await asyncio.to_thread(backend._outside.run, ["{python}", "-c", code, "{database_url}"])
        assert done.exit_code == 0
        assert len(set(done.text.split())) == 1, done
        clean, base = backend.digest(), backend._outside.database
        assert base is not None
        await asyncio.to_thread(base.run, "INSERT INTO item VALUES (3, 'third', '')")
        assert backend.digest() != clean == other.digest()
        token = await backend.snapshot()
        await backend.reset()
        assert backend.digest() == clean
        assert backend.query("SELECT name FROM item WHERE id = 2") == [("second",)]
        await backend.restore(token)
        assert backend.query("SELECT name FROM item WHERE id = 3") == [("third",)]
        await backend.reset()
        assert backend.digest() == clean
    finally:
        await backend.stop()
        await other.stop()


# without a server


@pytest.mark.parametrize(
    ("url", "host", "port", "name"),
    [
        ("postgresql://ann:p%40ss@db:5433/shop", "db", "5433", "shop"),
        ("postgresql:///shop?host=/run/postgresql", "/run/postgresql", "", "shop"),
        ("mysql://root@127.0.0.1/shop?unix_socket=/run/mysqld/sock", "/run/mysqld/sock", "", "shop"),
    ],
)
def test_an_address_is_read(url: str, host: str, port: str, name: str) -> None:
    address = parse_address(url)
    assert (address.host, address.port, address.name) == (host, port, name)
    assert address.password == ("p@ss" if "ann" in url else "")


def test_an_address_without_a_database_is_said() -> None:
    with pytest.raises(UserError, match="no address such as"):
        parse_address("postgresql://localhost")


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    if not shutil.which("psql"):
        pytest.skip("no psql on this machine")
    with pytest.raises(UserError, match=r"state\.database_url: .*shop"):
        open_server_database(f"postgresql://x@127.0.0.1:{free_port()}/shop", STATE, tmp_path, own=True)


def test_a_database_that_is_locked_is_no_silent_failure(postgresql: Running, tmp_path: Path) -> None:
    database = open_server_database(postgresql.url, STATE, tmp_path, own=True)
    talk = subprocess.Popen([*postgresql.client, database.name], stdin=subprocess.PIPE)
    assert talk.stdin is not None
    try:
        talk.stdin.write(b"BEGIN; SELECT * FROM item;\n")
        talk.stdin.flush()
        while not database.query("SELECT 1 FROM pg_locks WHERE relation = 'item'::regclass"):
            time.sleep(0.02)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lbi.environments.web.server_database.LOCK_SECONDS", 1)
            with pytest.raises(EnvironmentFailure, match="lock timeout"):
                database.restore(tmp_path / "pristine.sql")
    finally:
        talk.stdin.close()
        talk.wait()
        database.close()
