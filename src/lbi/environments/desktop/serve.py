"""Serves one private desktop by the HTTP protocol of OSWorld's machines, so that agents written for these can drive it.

What a foreign agent asks for is done in the desktop's sandbox only. It listens on this machine's own address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import posixpath
import shlex
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from lbi.environments.desktop.at_spi_xml import xml_of
from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.environments.desktop.session import HOME, PYTHON, DesktopEnded, DesktopRefused
from lbi.errors import EnvironmentFailure, UserError
from lbi.records import Task

HOST = "127.0.0.1"
SECONDS = 120.0  # for a command, as there
LARGEST = 256 << 20  # bytes of a file that is sent here
NO_NETWORK = "a private desktop has no network; upload the file instead"
Answer = Awaitable[web.Response]


class DesktopServer:
    """Use as an asynchronous context; ``address`` is where it listens. One question is answered at a time."""

    def __init__(
        self,
        environments: DesktopEnvironments,
        start: str = "",
        port: int = 0,
        *,
        environment: DesktopEnvironment | None = None,
        called: Mapping[str, str] | None = None,
    ) -> None:
        """``environment``: one that is open already, to be served as it is and left open; None = a new one.

        ``called``: other names of programs, for those who look them up in the tree: {"Chromium": "Google Chrome"}.
        """
        self.address = ""
        self._environments, self._start, self._port = environments, start, port
        self._called = called
        self._lock = asyncio.Lock()
        self._environment, self._is_ours = environment, environment is None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> DesktopServer:
        """Raises UserError for a port in use, and for what keeps a desktop from beginning as it should."""
        listening = self._listening()  # before anything that takes its time
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self.__aexit__)
            undo.callback(listening.close)
            if self._is_ours:
                await self._begin()
            self._runner = web.AppRunner(self._application())
            await self._runner.setup()
            await web.SockSite(self._runner, listening).start()
            undo.pop_all()
        self.address = f"http://{HOST}:{listening.getsockname()[1]}"
        return self

    async def _begin(self) -> None:
        self._environment = await self._environments.open()
        try:
            await self._environment.reset(self._task)
        except EnvironmentFailure as error:  # nobody has done anything yet: it is what was asked for
            raise UserError(str(error)) from None

    def _listening(self) -> socket.socket:
        try:
            return socket.create_server((HOST, self._port))
        except OSError as error:
            raise UserError(
                f"cannot listen on {HOST}:{self._port}: {os.strerror(error.errno or 0)}; choose another --port"
            ) from None

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._is_ours:
            await self._environments.close()

    @property
    def _task(self) -> Task:
        return Task(instruction="", environment=self._environments.name, start_url=self._start)

    @property
    def _desktop(self) -> DesktopEnvironment:
        if self._environment is None:
            raise EnvironmentFailure("the desktop was not started", kind="sandbox")
        return self._environment

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST)
        for path, answer in self._answers().items():
            application.router.add_route("*", path, self._one_at_a_time(answer))
        application.router.add_route("*", "/{path:.*}", self._unknown)
        return application

    def _answers(self) -> dict[str, Callable[[web.Request], Answer]]:
        return {
            "/platform": self._platform,
            "/screenshot": self._screenshot,
            "/accessibility": self._accessibility,
            "/terminal": self._terminal,
            "/execute": self._execute,
            "/setup/execute": self._execute,
            "/run_python": self._run_python,
            "/run_bash_script": self._run_bash,
            "/setup/launch": self._launch,
            "/setup/open_file": self._open_file,
            "/setup/activate_window": self._activate,
            "/setup/close_window": self._close_window,
            "/setup/upload": self._upload,
            "/setup/download_file": self._refuse_download,
            "/file": self._file,
            "/list_directory": self._list,
            "/screen_size": self._screen_size,
            "/cursor_position": self._cursor,
            "/desktop_path": self._desktop_path,
            "/reset": self._reset,
        }

    def _one_at_a_time(self, answer: Callable[[web.Request], Answer]) -> Callable[[web.Request], Answer]:
        """What the desktop refuses, or what ends it, is an answer with status 500, as there."""

        async def answered(request: web.Request) -> web.Response:
            async with self._lock:
                try:
                    return await answer(request)
                except KeyError as error:
                    return _failed(f"the request lacks {error}")
                except OSError as error:
                    return _failed(": ".join(filter(None, (error.filename, error.strerror))) or type(error).__name__)
                except (DesktopRefused, DesktopEnded, EnvironmentFailure, ValueError) as error:
                    return _failed(str(error) or type(error).__name__)

        return answered

    async def _unknown(self, request: web.Request) -> web.Response:
        return _failed(f"there is no {request.path} here; there are: {', '.join(self._answers())}", 404)

    # looking

    async def _platform(self, request: web.Request) -> web.Response:
        return web.Response(text="Linux")

    async def _screenshot(self, request: web.Request) -> web.Response:
        return web.Response(body=await self._desktop.session.picture(), content_type="image/png")

    async def _accessibility(self, request: web.Request) -> web.Response:
        return web.json_response({"AT": xml_of(await self._desktop.session.ask("look"), self._called)})

    async def _terminal(self, request: web.Request) -> web.Response:
        told = await self._desktop.session.ask("look")
        active = [window for window in told["windows"] if "active" in window["states"]]
        shown = [node["text"].rstrip() for window in active for node in _walk(window) if node["role"] == "terminal"]
        return web.json_response({"output": shown[0] if shown else None, "status": "success"})

    async def _screen_size(self, request: web.Request) -> web.Response:
        desktop = self._environments.desktop
        return web.json_response({"width": desktop.width, "height": desktop.height})

    async def _cursor(self, request: web.Request) -> web.Response:
        done = await self._run(["python3", "-c", "import pyautogui; print(*pyautogui.position())"])
        return web.json_response([int(part) for part in done["output"].split()])

    # commands

    async def _run(self, command: Sequence[str], seconds: float = SECONDS) -> dict[str, Any]:
        return await self._desktop.session.ask(
            "run", command=[*command], seconds=seconds, wall=seconds + 30, apart=True
        )

    async def _answered(self, command: Sequence[str], seconds: float = SECONDS) -> web.Response:
        done = await self._run(command, seconds)
        if done["exit_code"] is None:
            return _failed(f"the command did not end within {seconds:.0f} s")
        told = {"output": done["output"], "error": done["errors"], "returncode": done["exit_code"]}
        return web.json_response({"status": "success", **told})

    async def _execute(self, request: web.Request) -> web.Response:
        return await self._answered(_command(await _asked(request)))

    async def _run_python(self, request: web.Request) -> web.Response:
        return await self._answered([PYTHON, "-c", str((await _asked(request))["code"])])

    async def _run_bash(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        folder = shlex.quote(_path(str(asked.get("working_dir") or HOME)))
        return await self._answered(
            ["bash", "-c", f"cd {folder} && {asked['script']}"], float(asked.get("timeout") or 30)
        )

    async def _launch(self, request: web.Request) -> web.Response:
        command = _command(await _asked(request))
        await self._desktop.session.ask("launch", name=posixpath.basename(command[0]), command=command)
        return web.Response(text=f"{' '.join(command)} launched successfully")

    async def _open_file(self, request: web.Request) -> web.Response:
        path = _path(str((await _asked(request))["path"]))
        opener = self._environments.desktop.opener(path)
        if opener is None:
            return web.Response(text=f"Failed to open {path}. Error: no program opens such files", status=500)
        await self._desktop.session.ask("launch", name=opener.name, command=[*opener.command, path])
        return web.Response(text="File opened successfully")

    # windows

    async def _window(self, request: web.Request) -> int | None:
        asked = await _asked(request)
        name, strict = str(asked["window_name"]), bool(asked.get("strict"))
        order = (await self._desktop.session.ask("look"))["order"]
        fits = [n for n, title in order if title == name or (not strict and name.casefold() in title.casefold())]
        return fits[-1] if fits else None

    async def _activate(self, request: web.Request) -> web.Response:
        return await self._to_window(request, "front", "Window activated successfully")

    async def _close_window(self, request: web.Request) -> web.Response:
        return await self._to_window(request, "close", "Window closed successfully.")

    async def _to_window(self, request: web.Request, stroke: str, told: str) -> web.Response:
        window = await self._window(request)
        if window is None:
            return web.Response(text="Window not found", status=404)
        await self._desktop.session.ask("act", strokes=[[stroke, window]])
        return web.Response(text=told)

    # files

    async def _file(self, request: web.Request) -> web.Response:
        path = _path(str((await request.post())["file_path"]))
        try:
            content = await self._desktop.session.sandbox.download(path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return web.json_response({"error": "File not found"}, status=404)
        return web.Response(body=content, content_type="application/octet-stream")

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        data = form["file_data"]
        content = data.file.read() if isinstance(data, web.FileField) else str(data).encode()
        await self._desktop.session.sandbox.upload(_path(str(form["file_path"])), content)
        return web.Response(text="File Uploaded")

    async def _refuse_download(self, request: web.Request) -> web.Response:
        return web.Response(text=NO_NETWORK, status=500)

    async def _list(self, request: web.Request) -> web.Response:
        done = await self._run([PYTHON, "-c", _LIST, _path(str((await _asked(request))["path"]))])
        if done["exit_code"]:
            return web.json_response({"error": "The provided path is not a directory"}, status=400)
        return web.Response(text=done["output"], content_type="application/json")

    async def _desktop_path(self, request: web.Request) -> web.Response:
        return web.json_response({"desktop_path": f"{HOME}/Desktop"})

    async def _reset(self, request: web.Request) -> web.Response:
        """Not in OSWorld's protocol, where a machine is put back from outside: a fresh desktop."""
        await self._desktop.reset(self._task)
        return web.json_response({"status": "success"})


_LIST = """
import json, os, sys
def tree(path):
    found = {"type": "directory", "name": os.path.basename(path), "children": []}
    for entry in sorted(os.scandir(path), key=lambda each: each.name):
        deeper = entry.is_dir(follow_symlinks=False)
        found["children"].append(tree(entry.path) if deeper else {"type": "file", "name": entry.name})
    return found
print(json.dumps({"directory_tree": tree(sys.argv[1])}))
"""


def _failed(message: str, status: int = 500) -> web.Response:
    return web.json_response({"status": "error", "message": message}, status=status)


async def _asked(request: web.Request) -> dict[str, Any]:
    """What a request holds. Raises ValueError."""
    try:
        asked = json.loads(await request.text())
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise ValueError(f'{request.path} takes a JSON object, such as {{"command": ["ls"]}}')
    return asked


def _command(asked: dict[str, Any]) -> list[str]:
    """The command line of a request; of one for a shell, that of the shell."""
    command = asked.get("command", [])
    if not isinstance(command, str | list):
        raise ValueError("the command is neither a text nor a list of words")
    if asked.get("shell"):
        return ["sh", "-c", command if isinstance(command, str) else shlex.join(map(str, command))]
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    if not words:
        raise ValueError("the command is empty")
    words = [_path(word) if word.startswith("~/") else word for word in words]
    return [PYTHON, *words[1:]] if words[0] == "python" else words


def _path(path: str) -> str:
    """A path inside, with the home folder in place of ~ and $HOME."""
    path = path.replace("${HOME}", HOME).replace("$HOME", HOME)
    return posixpath.join(HOME, path[2:] if path.startswith("~/") else path)


def _walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(each for child in node["children"] for each in _walk(child))]
