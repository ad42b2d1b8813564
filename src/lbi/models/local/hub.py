"""A file of a hub's repository, by the hub's own client: with its log-in, mirrors, resumption and offline switch."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from lbi.models.local.failures import LocalFailure

_QUIET = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS")  # read by the client when it is imported
_ANSWERS_WITHIN = 10.0  # seconds until the mirror is tried instead


def fetch(repository: str, file: str, folder: Path) -> Path:
    """Fetch one file below ``folder``. Blocking. Raises LocalFailure ("cannot be fetched")."""
    for variable in _QUIET:
        os.environ.setdefault(variable, "1")
    try:
        import httpx2
        from huggingface_hub import constants, errors, hf_hub_download, utils
    except ImportError:
        raise LocalFailure("cannot be fetched", "the hub's client is not installed") from None
    utils.logging.set_verbosity(logging.ERROR)
    if constants.is_offline_mode():
        raise LocalFailure("cannot be fetched", "HF_HUB_OFFLINE is set")
    if problem := _out_of_reach(constants.ENDPOINT):
        raise LocalFailure("cannot be fetched", problem)
    try:
        return Path(hf_hub_download(repository, file, local_dir=folder, etag_timeout=_ANSWERS_WITHIN))
    except (httpx2.HTTPError, errors.HfHubHTTPError, errors.LocalEntryNotFoundError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LocalFailure("cannot be fetched", f"{constants.ENDPOINT} does not give {file} ({reason[:200]})") from None


def _out_of_reach(endpoint: str) -> str:
    """Why nobody needs to wait for the hub, as its client would for half a minute; behind a proxy nobody knows."""
    host = urlsplit(endpoint).hostname or ""
    if getproxies().get(urlsplit(endpoint).scheme):
        return ""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return f"no address is known of {host}"
    return ""
