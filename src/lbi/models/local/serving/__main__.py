"""Order on standard input -> a server; its port as a line of JSON on standard output, or what is wrong.

It ends with its parent, however that ends: standard input closes then, and Linux sends a signal even if Python is busy.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

from lbi.models.local.serving.http import serve
from lbi.models.local.serving.protocol import Engine, Order

_PR_SET_PDEATHSIG = 1


def main() -> int:
    said = _keep_standard_output()
    _end_with_parent()
    threading.excepthook = _end_with_thread
    line = sys.stdin.readline()
    if not line:
        return 0
    order: Order = json.loads(line)
    threading.Thread(target=_end_with_input, daemon=True).start()

    def say(**message: Any) -> None:
        said.write(json.dumps(message) + "\n")
        said.flush()

    try:
        engine = open_engine(order)
    except ImportError as error:
        say(error=f"{error}", kind="extra not installed")
        return 1
    except (RuntimeError, ValueError, MemoryError) as error:  # what engines raise for weights that they cannot read
        say(error=" ".join(f"{type(error).__name__} {error}".split())[:500], kind="cannot be loaded")
        return 1
    asyncio.run(serve(engine, order["key"], lambda port: say(port=port)))
    return 0


def open_engine(order: Order) -> Engine:
    """Load the weights; seconds to a minute."""
    if order["engine"] == "openvino":
        # it would report to its makers that it was loaded, from a fork of this process that outlives it
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        from lbi.models.local.serving.openvino import OpenVino

        return OpenVino(order)
    from lbi.models.local.serving.llama import Llama

    return Llama(order)


def _keep_standard_output() -> Any:
    """Libraries print what they like; only what we say may go to the parent."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_thread(failed: threading.ExceptHookArgs) -> None:
    """An engine without its thread would leave everybody waiting; another process can be started."""
    sys.excepthook(failed.exc_type, failed.exc_value or RuntimeError(), failed.exc_traceback)
    sys.stderr.flush()
    os._exit(70)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
