"""A desktop served by the protocol of OSWorld's machines, asked as its controllers ask."""

from __future__ import annotations

import xml.etree.ElementTree as Tree
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from lbi.environments.desktop.at_spi_xml import SPACES
from lbi.environments.desktop.environment import DesktopEnvironments
from lbi.environments.desktop.serve import DesktopServer
from lbi.errors import UserError
from needs_desktop import needs_desktop

pytestmark = [*needs_desktop, pytest.mark.asyncio(loop_scope="module")]
PREFIX = "import pyautogui; import time; pyautogui.FAILSAFE = False; "


class Client:
    """Asks as the official controllers do."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, address

    async def get(self, path: str) -> Any:
        async with self._session.get(self._address + path) as response:
            assert response.status == 200, await response.text()
            return await response.json() if "json" in response.content_type else await response.read()

    async def post(self, path: str, *, status: int = 200, **asked: Any) -> Any:
        async with self._session.post(self._address + path, **asked) as response:
            assert response.status == status, await response.text()
            return await response.json() if "json" in response.content_type else await response.read()

    async def execute(self, code: str) -> dict[str, Any]:
        asked = {"command": ["python", "-c", PREFIX + code], "shell": False}
        done: dict[str, Any] = await self.post("/execute", json=asked)
        return done


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[Client]:
    server = DesktopServer(DesktopEnvironments("debian"), "/editor/Documents/todo.txt")
    async with server, aiohttp.ClientSession() as session:
        yield Client(session, server.address)


async def test_the_screen_and_the_tree_are_told(client: Client) -> None:
    assert await client.get("/platform") == b"Linux"
    assert (await client.get("/screenshot"))[:8] == b"\x89PNG\r\n\x1a\n"
    assert await client.post("/screen_size") == {"width": 1280, "height": 800}
    tree = Tree.fromstring((await client.get("/accessibility"))["AT"])
    assert tree.tag == "desktop-frame"
    text = next(node for node in tree.iter("text") if node.text and "sailmaker" in node.text)
    assert text.get(f"{{{SPACES['st']}}}editable") == "true"
    assert text.get(f"{{{SPACES['cp']}}}size", "").startswith("(")


async def test_a_foreign_agent_types_saves_and_fetches_the_file(client: Client) -> None:
    await client.post("/reset")
    code = "pyautogui.hotkey('ctrl', 'end'); pyautogui.typewrite('fix the pump'); pyautogui.hotkey('ctrl', 's')"
    done = await client.execute(code + "; print('typed')")
    assert (done["status"], done["output"], done["error"], done["returncode"]) == ("success", "typed\n", "", 0)
    saved = await client.post("/file", data={"file_path": "/home/user/Documents/todo.txt"})
    assert saved.decode().rstrip().endswith("order new ropes\nfix the pump")
    await client.post("/file", data={"file_path": "~/nix.txt"}, status=404)


async def test_files_are_put_in_and_opened_and_windows_found(client: Client) -> None:
    await client.post("/reset")
    form = aiohttp.FormData()
    form.add_field("file_path", "~/new.txt")
    form.add_field("file_data", b"from outside\n", filename="new.txt")
    assert await client.post("/setup/upload", data=form) == b"File Uploaded"
    await client.post("/setup/launch", json={"command": ["xfce4-terminal", "--disable-server", "--title", "Second"]})
    await client.execute("time.sleep(1)")
    await client.post("/setup/activate_window", json={"window_name": "todo.txt"})
    await client.post("/setup/activate_window", json={"window_name": "second", "strict": True}, status=404)
    await client.post("/setup/activate_window", json={"window_name": "Second"})
    assert "$" in (await client.get("/terminal"))["output"]
    await client.post("/setup/close_window", json={"window_name": "Second"})
    listed = await client.post("/list_directory", json={"path": "/home/user/Documents"})
    assert {"type": "file", "name": "todo.txt"} in listed["directory_tree"]["children"]
    shell = await client.post("/execute", json={"command": "cat ~/new.txt; exit 3", "shell": True})
    assert (shell["output"], shell["returncode"]) == ("from outside\n", 3)
    script = await client.post("/run_bash_script", json={"script": "pwd", "working_dir": "/tmp"})
    assert script["output"] == "/tmp\n"


async def test_what_cannot_be_done_is_said_and_the_next_question_answered(client: Client) -> None:
    await client.post("/setup/download_file", json={"url": "http://localhost/x", "path": "/x"}, status=500)
    missing = await client.post("/execute", json={"command": []}, status=500)
    assert missing == {"status": "error", "message": "the command is empty"}
    await client.post("/execute", json={"command": ["no-such-program"]})
    outside = await client.post("/file", data={"file_path": "/root/a.txt"}, status=500)
    assert outside["message"].startswith("/root/a.txt: is outside of /home/user")
    for path, asked, told in (
        ("/execute", [1], '/execute takes a JSON object, such as {"command": ["ls"]}'),
        ("/execute", {"command": 5}, "the command is neither a text nor a list of words"),
        ("/run_python", {}, "the request lacks 'code'"),
        ("/setup/launch", {"command": ["no-such-program"]}, "no-such-program is not installed"),
    ):
        answer = await client.post(path, json=asked, status=500)
        assert answer == {"status": "error", "message": told}
    unknown = await client.post("/start_recording", status=404)
    assert unknown["message"].startswith("there is no /start_recording here; there are: /platform, /screenshot, ")
    assert await client.get("/platform") == b"Linux"


async def test_a_port_in_use_is_told_in_a_line(client: Client) -> None:
    port = int(client._address.rpartition(":")[2])
    with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1:{port}.*choose another --port"):
        async with DesktopServer(DesktopEnvironments("debian"), port=port):
            pass


async def test_a_start_that_there_is_not_is_told_in_a_line_and_the_port_is_free_again() -> None:
    server = DesktopServer(DesktopEnvironments("debian"), "/nix")
    with pytest.raises(UserError, match="did not begin with /nix: there is no program 'nix' on this desktop") as told:
        async with server:
            pass
    assert "\n" not in str(told.value)
    assert server.address == ""
