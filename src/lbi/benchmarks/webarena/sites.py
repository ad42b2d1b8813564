"""Where the sites are, how to log in, how to put them back: one TOML file, given as the checkout (docs/webarena.md).

[gitlab]
url = "http://127.0.0.1:8023"
reset = ["/opt/webarena/reset-gitlab"]     # run before each episode that uses it; exits with 0 when it is back
[gitlab.login.form]
url = "/users/sign_in"
steps = ['fill(textbox "Username", "me")', 'fill(textbox "Password", "${PASSWORD}")', 'click(button "Sign in")']
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lbi.environments.web.application import Application, FormLogin, Login
from lbi.errors import UserError
from lbi.storage.toml import TomlError, parse_toml
from lbi.storage.validation import explain

NAMES = ("gitlab", "map", "reddit", "shopping", "shopping_admin", "wikipedia", "homepage")


class Site(BaseModel):
    """One site."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://")
    login: Login = Login()
    reset: tuple[str, ...] = ()
    reset_seconds: float = Field(default=600.0, gt=0)
    aliases: tuple[str, ...] = ()
    """Other addresses that the site calls itself by, in links and redirects."""

    @property
    def address(self) -> str:
        return self.url.rstrip("/")


class Sites(BaseModel):
    """The file. Sites that are not there are left out: their tasks are not runnable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gitlab: Site | None = None
    map: Site | None = None
    reddit: Site | None = None
    shopping: Site | None = None
    shopping_admin: Site | None = None
    wikipedia: Site | None = None
    homepage: Site | None = None

    def of(self, names: Sequence[str]) -> dict[str, Site]:
        """The sites of these names that there are."""
        found = {name: getattr(self, name) for name in names}
        return {name: site for name, site in found.items() if site is not None}

    @property
    def addresses(self) -> dict[str, str]:
        """{"__GITLAB__": "http://127.0.0.1:8023"}"""
        return {f"__{name.upper()}__": site.address for name, site in self.of(NAMES).items()}


def load_sites(file: str) -> Sites:
    """Raises UserError that names the key at fault. Without a file there are no sites."""
    if not file:
        return Sites()
    try:
        return Sites.model_validate(parse_toml(Path(file).expanduser().read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the file of sites {file}: {error}") from None
    except TomlError as error:
        raise UserError(f"{file} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise UserError(f"{file}: {explain(error, Sites)}") from None


def application(name: str, sites: dict[str, Site]) -> Application:
    """The sites of one task as one application: the first is where it begins, the others may be opened as well.

    Raises UserError where they log in in ways that one browser cannot do together.
    """
    first, *others = sites.values()
    also = [site.address for site in others] + [alias for site in sites.values() for alias in site.aliases]
    return Application(
        name=name, base_url=first.address, login=_login(name, list(sites.values())), also=tuple(dict.fromkeys(also))
    )


def _login(name: str, sites: list[Site]) -> Login:
    ways = [site for site in sites if site.login != Login()]
    if not ways:
        return Login()
    if len(ways) == 1 and ways[0] is sites[0]:
        return ways[0].login
    if all(site.login.form for site in ways):
        steps: list[str] = []
        for site in ways:
            form = site.login.form
            assert form is not None
            steps += [f'goto("{urljoin(site.address + "/", form.url)}")', *form.steps]
        return Login(form=FormLogin(url=sites[0].address, steps=tuple(steps)))
    if all(site.login.headers for site in ways):
        return Login(headers={key: value for site in ways for key, value in site.login.headers.items()})
    raise UserError(
        f"{name}: its sites log in in different ways; a task of several needs forms or headers at all of them"
    )
