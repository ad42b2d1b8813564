"""A model's header and this machine -> threads, context, slots, and whether there is enough memory.

Fit(threads=2, context=32768, slots=2, memory=1_240_000_000)
"""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

from lbi.models.local.catalog import EngineName
from lbi.models.local.failures import LocalFailure
from lbi.models.local.gguf import Header

LONGEST_CONTEXT = 32_768  # tokens; what prompts of ours may hold at most by default has fewer
SHORTEST_CONTEXT = 4_096  # of less, most prompts would be cut off
SLOTS = 2  # requests in work at once: one reads its prompt while another writes its reply
_SPARE = 0.85  # of the free memory, how much a model may take
_OVERHEAD = 200_000_000  # bytes of a process without weights, and of what it computes with
#: bytes of memory per byte of weights: OpenVINO keeps a copy in its own layout
_WEIGHTS: dict[EngineName, float] = {"llama.cpp": 1.0, "openvino": 2.4}
#: bytes of keys and values that are kept, at least: OpenVINO counts them in whole gigabytes
_CACHE: dict[EngineName, int] = {"llama.cpp": 0, "openvino": 10**9}


@dataclass(frozen=True)
class Fit:
    """How a model is run here."""

    threads: int
    context: int  # tokens that prompt and reply of all requests in work may have together
    slots: int
    memory: int  # bytes that it will take, about


def fitted(header: Header, size: int, engine: EngineName, *, memory: int, cores: int, load: float = 0.0) -> Fit:
    """``size`` is that of the file in bytes, ``memory`` what is free. Raises LocalFailure ("too little memory")."""
    fixed = math.ceil(size * _WEIGHTS[engine]) + _OVERHEAD
    per_token = max(1, header.cache_bytes_per_token)
    longest = min(LONGEST_CONTEXT, header.context)
    room = int(memory * _SPARE) - fixed
    context, least = min(longest, room // per_token), min(SHORTEST_CONTEXT, longest)
    if context < least or room < _CACHE[engine]:
        need = (fixed + max(_CACHE[engine], least * per_token)) / _SPARE
        raise LocalFailure(
            "too little memory",
            f"the model needs about {_gigabytes(need)} and {_gigabytes(memory)} are free; close other programs, or "
            "choose a smaller model (`lbi models`)",
        )
    return Fit(_threads(engine, cores, load), context, SLOTS, fixed + max(_CACHE[engine], context * per_token))


def _threads(engine: EngineName, cores: int, load: float) -> int:
    """llama.cpp's threads wait for each other busily, so on a machine at work fewer are faster."""
    if engine == "llama.cpp" and load > cores:
        return max(1, cores // 2)
    return cores


def cores() -> int:
    """Processors that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        allowed = min(allowed, max(1, int(quota) // int(period)))  # "max" is no number, and no limit
    return allowed


def load() -> float:
    """Processes that wanted to run during the last minute."""
    return os.getloadavg()[0]


def free_memory() -> int:
    """Bytes that a new process may take without others being swapped out or killed."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text("ascii") for name in ("memory.max", "memory.current"))
        free = min(free, int(limit) - int(used))
    return max(0, free)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
