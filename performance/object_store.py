"""Screenshots of a run in object storage: written and read through fsspec, on an S3-compatible server of this machine.

    pip install -e .[objects] 'moto[server]'      moto: Apache-2.0, a server that keeps everything in its memory
    python performance/object_store.py [--images 200] [--at-once 8]

Each image is a PNG of random pixels of about --kilobytes. `folder` is the run folder, `s3` the same with
storage.images = "s3://...". Written and read back one after the other and by several threads, compared byte for byte;
a run opened again finds them by its folder alone. CPU is that of this process, without the server's.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from lbi.storage.run_folder import RunFolder

BUCKET = "lbi-runs"


def pictures(number: int, kilobytes: int) -> list[bytes]:
    """PNGs of noise, which cannot be compressed, so their size is that of their pixels."""
    rng, side = np.random.default_rng(0), max(int((kilobytes * 1000 / 3) ** 0.5), 1)
    made = []
    for _ in range(number):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(file, "PNG")
        made.append(file.getvalue())
    return made


def timed(work: Callable[[bytes], object], pngs: Iterable[bytes], threads: int) -> tuple[float, float]:
    """(seconds, CPU seconds) of the work on each."""
    began, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, pngs))
    return time.monotonic() - began, time.process_time() - cpu


def measure(name: str, path: Path, pngs: list[bytes], threads: int, images: str = "") -> None:
    with RunFolder(path, {}, images=images) as folder:
        writing, cpu = timed(folder.save_image, pngs, threads)
        names = [folder.save_image(png) for png in pngs]  # again: nothing is sent twice
    found: dict[str, bytes] = {}
    with RunFolder(path, writing=False) as folder:  # told of no address
        reading, cpu_reading = timed(lambda image: found.update({image: folder.load_image(image)}), names, threads)  # type: ignore[arg-type]
    same = [found[image] for image in names] == pngs
    size, count = sum(map(len, pngs)), len(pngs)
    print(
        f"{name:<7}{threads:>3} at once: written {1000 * writing / count:6.1f} ms ({1000 * cpu / count:.1f} ms CPU), "
        f"read {1000 * reading / count:6.1f} ms ({1000 * cpu_reading / count:.1f} ms CPU) each of "
        f"{size / count / 1000:.0f} kB; {'equal' if same else 'NOT equal'} (load {os.getloadavg()[0]:.0f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    try:
        import s3fs
    except ImportError as error:
        sys.exit(f"{error}; pip install -e .[objects] 'moto[server]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.environ |= {  # as anybody says to S3 clients where to go
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    pngs = pictures(options.images, options.kilobytes)
    try:
        while not _answers(port) and server.poll() is None:
            time.sleep(0.1)
        s3fs.S3FileSystem().mkdir(BUCKET)
        with tempfile.TemporaryDirectory() as folder:
            for threads in (1, options.at_once):
                measure("folder", Path(folder) / f"here-{threads}", pngs, threads)
                measure("s3", Path(folder) / f"there-{threads}", pngs, threads, f"s3://{BUCKET}/run-{threads}")
    finally:
        server.kill()
        server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
