"""An application as data, read from a TOML file by name or path (format: docs/applications.md)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lbi.documents.corpus import DocumentSource
from lbi.errors import UserError
from lbi.records import digest_of
from lbi.storage.names import LONGEST, address_problem, page_problem, without_password
from lbi.storage.secrets import from_environ, learn, learn_address
from lbi.storage.toml import TomlError, parse_toml
from lbi.storage.validation import explain

SECRET = re.compile(r"\$\{(\w+)\}")
_REQUEST = re.compile(r"[A-Z]+ /\S*")


class Table(BaseModel):
    """A table of the file: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Prepare(Table):
    """How the pristine state is made. This happens once."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    copy_: tuple[str, ...] = Field(default=(), alias="copy")
    """Files and folders, from where the application's file lies; each comes into the state folder by its last name."""
    command: tuple[str, ...] = ()  # run in the state folder when all files are there
    script: str = ""  # Python, run by the application's interpreter in the state folder


class State(Table):
    """What is restored between episodes, and what counts as state."""

    files: str = ""  # folder beside the application's file; all in it is copied before the prepare script runs
    reset: Literal["files", "restart"] = "files"  # "restart": the server starts anew at every reset
    reset_request: str = ""  # "POST /api/reset": sent to the site at every reset
    reset_command: tuple[str, ...] = ()  # run at every reset
    digest_url: str = ""  # address on the site that shows its state as JSON or text
    digest_files: tuple[str, ...] = ()  # files of the state folder that count, such as "data/*.json"
    digest_command: tuple[str, ...] = ()  # what it prints is the state
    digest_ignore: tuple[
        str, ...
    ] = ()  # paths in JSON that do not count: "user.last_seen", "items[*].id", "**.updated"
    database: str = ""  # SQLite file within the state folder
    database_url: str = ""  # postgresql://... or mysql://...: a database of a server, put back from a snapshot
    ignore_tables: tuple[str, ...] = ()
    ignore_columns: tuple[str, ...] = ()  # "table.column" or "*.column"
    after_restore: tuple[str, ...] = ()  # SQL after each reset; {n} = number of the reset
    restart_on: tuple[str, ...] = ()  # a change of these files restarts the server at reset

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        for column in self.ignore_columns:
            if "." not in column:
                raise ValueError(f'ignore_columns: write "table.column" or "*.column", not {column!r}')
        if self.reset_request and not _REQUEST.fullmatch(self.reset_request):
            raise ValueError(f'reset_request: write a method and a path, "POST /api/reset", not {self.reset_request!r}')
        if self.digest_url and not self.digest_url.startswith("/"):
            raise ValueError(f"digest_url: write a path on the site, such as /api/state, not {self.digest_url!r}")
        if self.database and self.database_url:
            raise ValueError("give either database (an SQLite file) or database_url (a server's), not both")
        if self.database_url and not self.database_url.startswith(("postgresql://", "mysql://", "${")):
            raise ValueError(f"database_url: it begins with postgresql:// or mysql://, not as {self.database_url!r}")
        return self

    @property
    def resets_memory(self) -> bool:
        """Whether a reset takes away what the server itself remembers, such as who is logged in."""
        return self.reset == "restart" or bool(self.reset_request or self.reset_command)

    @property
    def has_digest(self) -> bool:
        """Whether anything tells one state from another."""
        sources = (self.database, self.database_url, self.digest_url, self.digest_files, self.digest_command)
        return any(sources)


class FormLogin(Table):
    """A log-in by hand: actions in grounded form on the page ``url``."""

    url: str
    steps: tuple[str, ...] = ()


class BasicLogin(Table):
    """HTTP basic authentication; ``url`` is visited once where a session begins there."""

    username: str
    password: str
    url: str = ""


class Login(Table):
    """How to log in: at most one of these ways."""

    basic: BasicLogin | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    form: FormLogin | None = None
    storage_state: str = ""  # file that Playwright's storage_state() wrote

    @model_validator(mode="after")
    def _only_one(self) -> Self:
        ways = [name for name in ("basic", "headers", "form", "storage_state") if getattr(self, name)]
        if len(ways) > 1:
            raise ValueError(f"choose one of {', '.join(ways)}")
        return self


class Checks(Table):
    """What the commands of tasks' checks see beside the state: they run in a sandbox."""

    show: tuple[str, ...] = ()  # files and folders, read-only; relative paths start at the application's file


class Policy(Table):
    """Regular expressions on path and query (urls) and on elements' names; deny is tested first and wins."""

    allow_urls: tuple[str, ...] = ()
    deny_urls: tuple[str, ...] = ()
    deny_names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _are_expressions(self) -> Self:
        for pattern in (*self.allow_urls, *self.deny_urls, *self.deny_names):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return self


class Application(Table):
    """One application file. Relative paths in it start at ``folder``, where it lies."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=LONGEST)
    description: str = ""
    requirements: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    health: str = "/"
    start_url: str = "/"
    start_timeout: float = Field(default=30.0, gt=0)
    base_url: str = ""  # of a site that somebody else runs, which then has no start, no reset and no digest
    also: tuple[str, ...] = ()  # addresses of other sites that belong to it: they may be opened as well
    environ: dict[str, str] = Field(default_factory=dict)
    prepare: Prepare = Prepare()
    state: State = State()
    login: Login = Login()
    policy: Policy = Policy()
    checks: Checks = Checks()
    documents: tuple[DocumentSource, ...] = ()
    folder: str = Field(default="", exclude=True)

    @model_validator(mode="after")
    def _runs_or_is_run(self) -> Self:
        if bool(self.start) == bool(self.base_url):
            raise ValueError("give either start (a command) or base_url (of a site that runs already)")
        state, needs = self.state, "base_url: the site is run by somebody else, so there is no"
        if self.base_url and (state.files or state.database or state.digest_files or state.reset == "restart"):
            raise ValueError(f'{needs} state.files, state.database, state.digest_files, or state.reset = "restart"')
        if self.base_url and self.prepare != Prepare():
            raise ValueError(f"{needs} prepare")
        return self

    @model_validator(mode="after")
    def _addresses_are_some(self) -> Self:
        if self.base_url and (problem := address_problem(self.base_url) or _more_than_a_site(self.base_url)):
            raise ValueError(f"base_url {without_password(self.base_url)!r}: {problem}")
        pages = {"start_url": self.start_url, "health": self.health}
        pages |= {"login.form.url": self.login.form.url} if self.login.form else {}
        pages |= {"login.basic.url": self.login.basic.url} if self.login.basic and self.login.basic.url else {}
        for name, address in pages.items():
            if problem := page_problem(address, self.base_url):
                raise ValueError(f"{name} {without_password(address)!r}: {problem}")
        if not self.health.startswith("/"):
            raise ValueError(f"health {self.health!r}: it is a path on the site, such as /")
        return self

    @property
    def managed(self) -> bool:
        return bool(self.start)

    @property
    def restores(self) -> bool:
        """Whether every episode begins with the same state: we run it, or its file says how it is put back."""
        return self.managed or self.state.resets_memory or bool(self.state.database_url)

    @property
    def fingerprint(self) -> str:
        """Hash of everything in the file."""
        return digest_of(self.model_dump(mode="json"))


def _more_than_a_site(address: str) -> str:
    return "the address of a site ends before any ? or #" if "?" in address or "#" in address else ""


def shipped_applications() -> tuple[str, ...]:
    """Names of the applications that come with the package."""
    folder = resources.files("lbi.applications")
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def load_application(name_or_path: str | Path) -> Application:
    """A shipped application by name, or any file by path. Raises UserError that names the key at fault."""
    text, where, folder = _read(name_or_path)
    try:
        data = parse_toml(text)
    except TomlError as error:
        raise UserError(f"{where} is not valid TOML: {error}") from None
    try:
        return _anchored(Application.model_validate({**data, "folder": folder}))
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Application)}") from None


def unmanaged(base_url: str, start_url: str = "/") -> Application:
    """An application that somebody else runs at ``base_url``."""
    learn_address(base_url)
    host = re.sub(r"[^a-z0-9.-]+", "-", base_url.split("://")[-1].lower()).strip("-.")
    try:
        return Application(name=host or "site", base_url=base_url, start_url=start_url)
    except ValidationError as error:
        raise UserError(explain(error, Application)) from None


def expand(text: str, application: Application, written: Callable[[str], str] = str) -> str:
    """Fill in ``${NAME}`` from the application's own variables, or else from ours. Raises UserError if unset.

    ``written`` is how a value is written where it stands.
    """

    def value_of(match: re.Match[str]) -> str:
        value = application.environ.get(match[1], "")
        if not value or SECRET.search(value):  # NAME = "${NAME}" passes one of ours on
            value = from_environ(SECRET.sub(r"\1", value) or match[1])
        if not value:
            raise UserError(f"{application.name}: ${{{match[1]}}} is used but not set; set the variable {match[1]}")
        return written(value)

    return SECRET.sub(value_of, text)


def secrets_of(application: Application) -> tuple[str, ...]:
    """The values of every ``${NAME}`` of the log-in, longest first; they are masked wherever they appear.

    Learns those too that stand in the application's own file; the others are learnt as they are read.
    """
    login = application.login.model_dump_json()
    values = {name: expand(f"${{{name}}}", application) for name in SECRET.findall(login)}
    for name in values.keys() & application.environ.keys():
        learn(values[name], name)
    return tuple(sorted(filter(None, set(values.values())), key=len, reverse=True))


def _anchored(application: Application) -> Application:
    """Documents named by a relative path lie beside the application's file, from wherever it is read."""
    if not application.folder:
        return application
    documents = tuple(
        source.model_copy(update={"path": str(Path(application.folder, Path(source.path).expanduser()))})
        if source.path and "://" not in source.path and not source.path.startswith("{")
        else source
        for source in application.documents
    )
    return application.model_copy(update={"documents": documents})


def _read(name_or_path: str | Path) -> tuple[str, str, str]:
    name = str(name_or_path)
    if not name.endswith(".toml") and os.sep not in name:
        shipped = shipped_applications()
        if name in shipped:
            text = resources.files("lbi.applications").joinpath(f"{name}.toml").read_text("utf-8")
            return text, f"application {name!r}", ""
        near = difflib.get_close_matches(name, shipped, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(shipped) or 'none'}."
        raise UserError(f"no application {name!r}; {hint} Or give the path of a .toml file.")
    path = Path(name)
    try:
        return path.read_text("utf-8"), str(path), str(path.resolve().parent)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read application file {path}: {error}") from None
