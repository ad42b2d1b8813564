"""Machines of a Ray cluster that are processes of this one.

A node is ended as a machine is that loses its power: everything that runs on it is killed at once.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

STARTS_WITHIN = 200.0  # seconds, on a busy machine
STARTS = 3  # a raylet whose agents are slow ends by itself, which nobody is told
STORE = 100_000_000  # bytes of shared memory; our answers are small
MEMORY = 8 * 2**30  # bytes that a node says it has
SETTINGS = {
    "PYTHONUNBUFFERED": "1",  # or what it says arrives when it ends
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    # on a busy machine its agents take longer to start than a node waits for them
    "RAY_agent_register_timeout_ms": f"{STARTS_WITHIN * 1000:.0f}",
    "RAY_raylet_start_wait_time_s": f"{STARTS_WITHIN:.0f}",
}


#: ports of a node's agents, by the option and by the file in which an agent says that it has it
PORTS = {
    "dashboard-agent-grpc": "metrics_agent_port",
    "dashboard-agent-listen": "dashboard_agent_listen_port",
    "metrics-export": "metrics_export_port",
    "runtime-env-agent": "runtime_env_agent_port",
}


@dataclass
class Node:
    """One node, as the process that started it."""

    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End everything that runs on it, at once, and wait until it has ended. Harmless when done before."""
        if self.process.returncode is not None:
            return  # its number may be another process's by now
        below = [self.process.pid, *descendants(self.process.pid)]
        while left := [pid for pid in below if not gone(pid)]:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.01)
            below += [pid for pid in descendants(self.process.pid) if pid not in below]
        self.process.wait()  # only now: what runs on it is found from it, and is nobody's once it was waited for


@dataclass
class RayNodes:
    """A cluster whose first node has its head. ``env``: variables of everything that runs on it."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    nodes: list[Node] = field(default_factory=list)

    def start(self, cores: float, resources: str = "{}") -> Node:
        """Start one more node, and wait until it is there. One that does not come up is started again."""
        for _ in range(STARTS):
            port, number = free_port(), len(self.nodes)
            ports = {name: free_port() for name in PORTS}
            head = ["--head", f"--port={port}", f"--temp-dir={self.folder}", "--include-dashboard=false"]
            place = [f"--address={self.address}"] if self.address else head
            command = [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *place, f"--num-cpus={cores:g}"),
                *(f"--memory={MEMORY}", f"--object-store-memory={STORE}", f"--resources={resources}"),
                *("--disable-usage-stats", "--min-worker-port=0", "--max-worker-port=0"),
                *(f"--{name}-port={at}" for name, at in ports.items()),
            ]
            file = self.folder.parent / f"node-{number}.txt"
            with file.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **SETTINGS, **self.env},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.nodes.append(node := Node(process))
            if _came_up(process, file, ports):
                if not self.address:  # Ray takes that of this machine
                    self.address = f"{_plain(file.read_text()).partition('Local node IP: ')[2].split()[0]}:{port}"
                return node
            node.kill()
        raise RuntimeError(f"no Ray node:\n{file.read_text()}")

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.kill()


def _plain(output: str) -> str:
    """Without colours: with ray[serve] or ray[default] installed, Ray writes them to files, too."""
    return re.sub(r"\x1b\[[0-9;]*m", "", output)


def _came_up(process: subprocess.Popen[bytes], file: Path, ports: Mapping[str, int]) -> bool:
    until, told = time.monotonic() + STARTS_WITHIN, False
    while b"Ray runtime started" not in file.read_bytes():
        if process.poll() is not None or time.monotonic() > until:
            return False
        told = told or _tell_ports(process.pid, ports)
        time.sleep(0.2)
    return True


def _tell_ports(pid: int, ports: Mapping[str, int]) -> bool:
    """Write the files that the raylet waits for, before its agents do, which on a busy machine come too late for it."""
    for below in descendants(pid):
        try:
            line = (Path("/proc") / str(below) / "cmdline").read_bytes().decode()
        except OSError:
            continue
        node, folder = re.search(r"--node_id=([0-9a-f]+)", line), re.search(r"--session_dir=([^\0 ]+)", line)
        if node and folder and "/raylet" in line.partition("\0")[0]:
            for name, port in ports.items():
                (Path(folder[1]) / f"{PORTS[name]}_{node[1]}").write_text(str(port))
            return True
    return False


@contextmanager
def ray_nodes(**env: str) -> Iterator[RayNodes]:
    """A cluster without any node yet, all of whose nodes are ended at last."""
    with tempfile.TemporaryDirectory(prefix="lbi-ray-", ignore_cleanup_errors=True) as folder:  # sockets: a short path
        nodes = RayNodes(Path(folder) / "r", env)
        nodes.folder.mkdir()
        try:
            yield nodes
        finally:
            nodes.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def gone(pid: int) -> bool:
    """Whether it has ended, even if nobody has asked how yet."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def descendants(pid: int) -> list[int]:
    """Ids of all processes below one, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, to_visit = list[int](), [pid]
    while to_visit:
        below = children.get(to_visit.pop(), [])
        found += below
        to_visit += below
    return found
