"""What a sandbox is: a folder that may be changed, a shell in it that can do no harm outside, limits on all of it."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024 * 1024
WORKDIR = "/repo"  # where the repository lies inside every confined sandbox
#: how a command ended: by itself, or stopped for time (wall clock or processor), memory, output, or otherwise
Ending = Literal["exited", "time", "memory", "output", "killed"]
Count = Annotated[int, Field(gt=0)]


class SandboxLimits(BaseModel):
    """Limits on everything that runs in one sandbox together, not on each process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_bytes: Count = 2048 * MIB
    processes: Count = 256
    """Processes and threads."""
    cpu_seconds: Count = 600
    """Of one command."""
    disk_bytes: Count = 1024 * MIB
    """Of all files that are written: in the repository, /tmp and the home folder. They are kept in memory."""
    output_bytes: Count = MIB
    """Of one command. Of longer output the beginning and the end are kept; 256 times as much stops the command."""
    wall_seconds: Annotated[float, Field(gt=0)] = 120.0
    """Of one command, unless it is run with another limit."""


class Completed(BaseModel):
    """How a command ended, and what it wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit_code: int | None  # None where it was stopped
    output: str  # what it wrote to stdout and stderr, in order; what is no UTF-8 is replaced
    cut_bytes: int = 0  # how many are missing in the middle of the output
    ended: Ending = "exited"
    seconds: float = 0.0
    folder: str = ""  # where the shell is now


@runtime_checkable
class Sandbox(Protocol):
    """A shell over a changeable copy of a folder. One command at a time; raises EnvironmentFailure when it broke."""

    backend: str
    workdir: str  # path of the folder inside

    async def run(self, command: str, *, wall_seconds: float | None = None) -> Completed:
        """Run a command in the shell of this sandbox: ``cd`` and ``export`` carry over to the next one.

        A command that is stopped, or that ends the shell, leaves a shell in the folder and with the variables that it
        had before.
        """
        ...

    async def upload(self, path: str, content: bytes) -> None:
        """Write a file, with its folders. Relative paths are below ``workdir``. Raises OSError, as inside."""
        ...

    async def download(self, path: str) -> bytes:
        """A file of the workdir, /tmp or the home folder. Raises OSError: FileNotFoundError, IsADirectoryError, ..."""
        ...

    async def diff(self) -> str:
        """What differs from the pristine folder, as a patch that ``git apply`` takes; ignored files are no part."""
        ...

    async def digest(self) -> str:
        """Hash of what ``diff`` shows; never empty, also for the pristine folder."""
        ...

    async def snapshot(self) -> str:
        """Keep the files, and the shell's folder and variables, under an id of this sandbox."""
        ...

    async def restore(self, snapshot: str) -> None:
        """Back to a snapshot; ends everything that runs."""
        ...

    async def drop(self, snapshot: str) -> None:
        """Give the room of a snapshot back; nothing can go back to it then."""
        ...

    async def reset(self) -> None:
        """Back to the pristine folder; ends everything that runs."""
        ...


class OpenSandbox(Sandbox, Protocol):
    """A sandbox in the hands of whoever opened it, and has to close it."""

    async def close(self) -> None:
        """End everything in it. Harmless when done before."""
        ...
