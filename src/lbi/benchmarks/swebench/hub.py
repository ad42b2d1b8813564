"""Fetches a data set from a hub: "hub:OWNER/NAME" or "hub:OWNER/NAME@REVISION".

This uses the hub's own client, with its cache, its log-in (``HF_TOKEN``) and its mirrors (``HF_ENDPOINT``).
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


def is_on_hub(source: str) -> bool:
    return source.startswith(PREFIX)


def fetch(source: str) -> Path:
    """Fetch a data set, and return the folder with its files. Blocking. Raises UserError.

    Only the part ``test`` is fetched, if there is one. Where the hub does not answer, the cache is used.
    """
    match = _NAME.fullmatch(source.removeprefix(PREFIX))
    if match is None:
        raise UserError(f"{source!r} names no data set of a hub; write hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    test_files = [f"{folder}test*{ending}" for ending in ENDINGS for folder in ("", "*/")]
    for patterns in (test_files, *([f"*{ending}"] for ending in ENDINGS)):
        folder = _snapshot(match["name"], match["revision"], patterns)
        if any(file.suffix in ENDINGS for file in folder.rglob("*")):
            return folder
    raise UserError(f"{source} holds no {', '.join(ENDINGS)} file, so no instances")


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    for variable in _QUIET:
        os.environ.setdefault(variable, "1")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns of patterns that fit nothing
    try:
        import httpx2
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError:
        raise UserError(f"{PREFIX}{name} needs the hub's client: pip install 'learn-by-interact[hub]'") from None
    shown, hub = f"{PREFIX}{name}", constants.ENDPOINT
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=list(patterns)))
    except errors.GatedRepoError:
        raise UserError(f"{shown} is gated: ask for access at {hub}/datasets/{name}, and {LOG_IN}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"no data set {name} on {hub}, or it is private: look at its name, or {LOG_IN}") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{shown} has no revision {revision or 'main'!r} on {hub}") from None
    except errors.LocalEntryNotFoundError as error:
        reason = _why_unreachable(error, hub, offline=constants.is_offline_mode())
        raise UserError(f"{shown} is not in the hub's cache, and {reason}; try again later, or name a file") from None
    except (httpx2.HTTPError, errors.HfHubHTTPError, OSError) as error:
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot fetch {shown} from {hub}: {message}; try again later, or name a file") from None


def _why_unreachable(error: Exception, hub: str, *, offline: bool) -> str:
    """What kept the client from the hub: the cause of its error may hold the hub's response."""
    if offline:
        return "HF_HUB_OFFLINE is set"
    response = getattr(error.__cause__, "response", None)
    return f"the hub {hub} cannot be reached" if response is None else f"{hub} answered {response.status_code}"
