"""Bytes at an address that fsspec opens, such as s3://BUCKET/PREFIX (extra: objects), and in one line what is wrong.

s3://nosuch/run  ->  storage.images = 's3://nosuch/run' cannot be written: The specified bucket does not exist;
                     make the bucket or folder, or correct the address
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

from lbi.errors import EnvironmentFailure, UserError

_PROBE = ".lbi-can-write"
_NOT_THERE = "make the bucket or folder, or correct the address"
_REFUSED = "set credentials that may write there (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
_UNREACHABLE = "see that its server runs, and that the address is right (for S3 also AWS_ENDPOINT_URL)"
#: errors of S3's library that are told by their name: they have no class that others have, too
_OF_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"})


class Objects:
    """Bytes by their path below an address."""

    def __init__(self, url: str) -> None:
        """Raises UserError for an address of which nothing is known, or whose library is not installed."""
        self.url = url
        self._system, self._root = _opened(url)

    def require(self) -> None:
        """Write something and take it away again.

        Raises UserError where nothing can be written, and EnvironmentFailure where that may be so for now only.
        """
        try:
            self._system.pipe_file(f"{self._root}/{_PROBE}", b"")
        except _errors() as error:
            said = f"storage.images = {self.url!r} cannot be written: {told(error)}"
            if hint_for(error) == _UNREACHABLE:
                raise EnvironmentFailure(said, kind="unreachable") from None
            raise UserError(said) from None
        with contextlib.suppress(*_errors()):  # who may only write may not delete
            self._system.rm_file(f"{self._root}/{_PROBE}")

    def write(self, path: str, content: bytes) -> None:
        """Raises EnvironmentFailure."""
        try:
            self._system.pipe_file(f"{self._root}/{path}", content)
        except _errors() as error:
            raise EnvironmentFailure(
                f"an image cannot be kept at {self.url}: {told(error)}", kind="unreachable"
            ) from None

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError for what is not there, and EnvironmentFailure where that cannot be told."""
        try:
            content: bytes = self._system.cat_file(f"{self._root}/{path}")
        except FileNotFoundError:
            raise
        except _errors() as error:
            raise EnvironmentFailure(
                f"an image cannot be read from {self.url}: {told(error)}", kind="unreachable"
            ) from None
        return content


def told(error: Exception) -> str:
    """One line: what the file system says, and what to do about it."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{said.rstrip('.')}; {hint_for(error)}"


def hint_for(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | FileExistsError | NotADirectoryError):
        return _NOT_THERE
    if isinstance(error, PermissionError) or type(error).__name__ in _OF_CREDENTIALS:
        return _REFUSED
    return _UNREACHABLE


def _errors() -> tuple[type[Exception], ...]:
    """What a file system raises. S3's library has errors of its own, which are no OSErrors."""
    own = sys.modules.get("botocore.exceptions")
    return (OSError, ValueError, *((own.BotoCoreError, own.ClientError) if own is not None else ()))


def _opened(url: str) -> tuple[Any, str]:
    """(file system, path in it)."""
    try:
        core = importlib.import_module("fsspec.core")
        own = {"auto_mkdir": True} if url.startswith("file://") else {}
        system, root = core.url_to_fs(url, **own)
    except ImportError as error:
        raise UserError(
            f"storage.images = {url!r} needs more than is installed ({error}); "
            "`pip install 'learn-by-interact[objects]'`"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"storage.images = {url!r} cannot be opened: {error}") from None
    root = str(root).rstrip("/")
    if not root:
        raise UserError(f"storage.images = {url!r} names no place; write for example s3://BUCKET/PREFIX")
    return system, root
