"""A data set on a hub -> a folder with its files: "hub:OWNER/NAME" or "hub:OWNER/NAME@REVISION".

The hub is asked by its own client, so its cache, its log-in (``HF_TOKEN``) and its mirrors (``HF_ENDPOINT``) hold.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from lbi.benchmarks.swebench.instance import ENDINGS
from lbi.errors import UserError

PREFIX = "hub:"
_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_QUIET = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS")  # read by the client when it is imported
LOG_IN = "log in with `hf auth login` or HF_TOKEN"


def is_on_hub(place: str) -> bool:
    return place.startswith(PREFIX)


def fetched(place: str) -> Path:
    """The folder of a snapshot that holds its files. Blocking. Raises UserError.

    Only the part ``test`` is fetched where there is one. What the cache holds is used where the hub does not answer.
    """
    found = _NAME.fullmatch(place.removeprefix(PREFIX))
    if found is None:
        raise UserError(f"{place!r} names no data set of a hub; write hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    for patterns in ([f"{start}test*{end}" for end in ENDINGS for start in ("", "*/")], *([f"*{e}"] for e in ENDINGS)):
        folder = _snapshot(found["name"], found["revision"], patterns)
        if any(file.suffix in ENDINGS for file in folder.rglob("*")):
            return folder
    raise UserError(f"{place} holds no {', '.join(ENDINGS)} file, so no instances")


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    for setting in _QUIET:
        os.environ.setdefault(setting, "1")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns of patterns that fit nothing
    try:
        import httpx2
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError:
        raise UserError(f"{PREFIX}{name} needs the hub's client: pip install 'learn-by-interact[hub]'") from None
    what, hub = f"{PREFIX}{name}", constants.ENDPOINT
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=list(patterns)))
    except errors.GatedRepoError:
        raise UserError(f"{what} is gated: ask for access at {hub}/datasets/{name}, and {LOG_IN}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"no data set {name} on {hub}, or it is private: look at its name, or {LOG_IN}") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{what} has no revision {revision or 'main'!r} on {hub}") from None
    except errors.LocalEntryNotFoundError as error:
        why = _why_not(error, hub, offline=constants.is_offline_mode())
        raise UserError(f"{what} is not in the hub's cache, and {why}; try again later, or name a file") from None
    except (httpx2.HTTPError, errors.HfHubHTTPError, OSError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot fetch {what} from {hub}: {said}; try again later, or name a file") from None


def _why_not(error: Exception, hub: str, *, offline: bool) -> str:
    """What kept the client from the hub; it tells so by what its error came from."""
    if offline:
        return "HF_HUB_OFFLINE is set"
    response = getattr(error.__cause__, "response", None)
    return f"the hub {hub} cannot be reached" if response is None else f"{hub} answered {response.status_code}"
