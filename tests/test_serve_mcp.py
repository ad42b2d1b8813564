"""lbi serve: what was learnt as MCP tools and resources, asked for by the official client in both protocol eras."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp_types import TextResourceContents

from fake_environment import NAV, SEARCH, observed
from lbi.errors import UserError
from lbi.interop.server.finder import Finder
from lbi.interop.server.served import Served
from lbi.interop.server.tools import experience_server
from running import answer, command, environ, lbi_here
from served_run import ADD, ATTIC, FIND, LEARNT, ROOMS, TASK, make_lamp_run, opened, served_here

pytestmark = pytest.mark.slow

ERAS = [("auto", "2026-07-28"), ("legacy", "2025-11-25")]
PAGE = observed(
    "/new",
    "New lamp - Lamps",
    *NAV,
    'textbox "Name": ""',
    'textbox "Colour": ""',
    'combobox "Room": "hall" of "hall" | "attic"',
    'button "Create"',
    *SEARCH,
).text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_lamp_run(tmp_path_factory.mktemp("lamps")))


@pytest.fixture(scope="module")
def finder(run: Path) -> Iterator[Finder]:
    with opened(run) as finder:
        yield finder


def files_of(run: Path) -> dict[str, bytes]:
    """What is in a run folder, but for what the server keeps and the locks of whoever reads it."""
    files = [file for file in run.rglob("*") if file.is_file() and file.parent.name != "served"]
    return {str(file): file.read_bytes() for file in files if "run.db-" not in file.name and "lock" not in file.name}


@asynccontextmanager
async def connected(finder: Finder, folder: Path, mode: str = "auto") -> AsyncIterator[Client]:
    """A client of a server in this process, over HTTP."""
    async with served_here(finder, folder) as address, Client(f"{address}/mcp", mode=mode) as client:
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return "".join(part.text for part in result.content if part.type == "text")


async def read(client: Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


@pytest.mark.parametrize(("mode", "version"), ERAS)
async def test_over_stdio_stdout_is_the_protocol_alone(run: Path, mode: str, version: str) -> None:
    _, *arguments = command("serve", run, "--mcp", "stdio")
    server = StdioServerParameters(command=command()[0], args=arguments, env=environ())
    async with Client(server, mode=mode) as client:
        assert client.session.protocol_version == version
        found = await called(client, "find_examples", instruction=TASK)
    assert found["examples"][0]["instruction"] in (ADD, ATTIC)


def test_nothing_but_messages_is_on_stdout_and_the_end_of_stdin_ends_it(run: Path) -> None:
    with over_stdio(run) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = [said(process, 1, "initialize", HELLO), said(process, 2, "tools/list")]
        process.stdin.write("no JSON\n" + "x" * 9_000_000 + "\n")
        answers.append(said(process, 3, "tools/call", {"name": "get_example", "arguments": {"id": 7}}))
        process.stdin.write('{"half": ')
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(30) == 0
    answers += [json.loads(line) for line in rest.splitlines()]
    assert {each["jsonrpc"] for each in answers} == {"2.0"}
    assert "tools" in answers[1]["result"]
    assert answers[2]["result"]["isError"]


@contextmanager
def over_stdio(run: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command("serve", run, "--mcp", "stdio"),
        env=environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], number: int, method: str, params: dict[str, Any] | None = None) -> Any:
    """The answer to a request; others that come before it are as they may be."""
    assert process.stdin is not None
    assert process.stdout is not None
    message = {"jsonrpc": "2.0", "id": number, "method": method, **({"params": params} if params else {})}
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
    while True:
        told = json.loads(process.stdout.readline())
        if told.get("id") == number:
            return told


HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_stdin_stays_open(run: Path, by: signal.Signals) -> None:
    with over_stdio(run) as process:
        said(process, 1, "initialize", HELLO)
        process.send_signal(by)
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


@pytest.mark.parametrize(("mode", "version"), ERAS)
async def test_the_tools_have_schemas_and_say_whether_they_change_anything(
    finder: Finder, tmp_path: Path, mode: str, version: str
) -> None:
    async with connected(finder, tmp_path, mode) as client:
        assert client.session.protocol_version == version
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        found = await called(client, "find_examples", instruction=TASK, observation=PAGE)
    assert {name: tool.annotations and tool.annotations.read_only_hint for name, tool in tools.items()} == {
        "find_examples": True,
        "get_example": True,
        "report_outcome": False,
    }
    schema = tools["find_examples"].output_schema
    assert schema is not None
    assert set(schema["properties"]) == {"text", "tokens", "examples"}
    assert set(tools["find_examples"].input_schema["properties"]) == {
        "instruction",
        "observation",
        "history",
        "k",
        "max_tokens",
    }
    assert found["examples"][0]["why"] == "observation"


@pytest.mark.parametrize("page", ["", PAGE])
async def test_what_is_found_is_what_lbi_retrieve_shows(run: Path, finder: Finder, tmp_path: Path, page: str) -> None:
    file = tmp_path / "page.txt"
    file.write_text(page)
    given = ["--page", str(file)] if page else []
    shown = await asyncio.to_thread(answer, "retrieve", run, TASK, *given, here=True)
    async with connected(finder, tmp_path) as client:
        found = await called(client, "find_examples", instruction=TASK, observation=page)
    in_the_prompt = [example for example in shown["examples"] if example["tokens"]]
    assert {each["id"] for each in found["examples"]} == {each["id"] for each in in_the_prompt}
    assert found["text"] in [message["content"] for message in shown["prompt"]]


async def test_what_was_seen_before_is_part_of_what_is_looked_up(finder: Finder, tmp_path: Path) -> None:
    start = 'URL: /\nTitle: Lamps\nlink "Lamps" [e1]\nlink "New lamp" [e2]'
    before = [{"observation": start, "action": "click(e2)"}]
    async with connected(finder, tmp_path) as client:
        found = await called(client, "find_examples", instruction=TASK, observation=PAGE, history=before)
        alone = await called(client, "find_examples", instruction=TASK, observation=start)
    assert found["text"].startswith(alone["text"]), "what our agent was shown before stays where it was"


#: asks for two operations, so that a second example adds something
BOTH = f"{TASK}, then find it"


async def test_fewer_and_shorter_on_request(finder: Finder, tmp_path: Path) -> None:
    async with connected(finder, tmp_path) as client:
        every = await called(client, "find_examples", instruction=BOTH)
        one = await called(client, "find_examples", instruction=BOTH, k=1)
        short = await called(client, "find_examples", instruction=BOTH, max_tokens=230)
        none = await called(client, "find_examples", instruction=BOTH, max_tokens=20)
        more = await called(client, "find_examples", instruction=BOTH, max_tokens=2000)
        wrong = await refused(client, "find_examples", instruction=BOTH, k=0)
        empty = await refused(client, "find_examples", instruction="  ")
    assert len(every["examples"]) > 1
    assert one["examples"] == every["examples"][:1]
    assert 0 < short["tokens"] <= 230
    assert (none["text"], none["examples"]) == ("", [])
    assert len(more["examples"]) >= len(every["examples"])
    assert "k" in wrong
    assert "the instruction is empty" in empty


async def test_an_example_whole_by_its_id_as_tool_and_as_resource(finder: Finder, tmp_path: Path) -> None:
    async with connected(finder, tmp_path) as client:
        found = await called(client, "find_examples", instruction=TASK)
        id_ = found["examples"][0]["id"]
        whole = await called(client, "get_example", id=id_)
        text = await read(client, f"example://{id_}")
        unknown = await refused(client, "get_example", id="nothing")
        with pytest.raises(MCPError, match="no example nothing"):
            await client.read_resource("example://nothing")
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
    assert whole["text"] == text
    assert whole["actions"] == list(LEARNT[whole["instruction"]])
    assert "no example nothing; find_examples tells the ids" in unknown
    assert templates == ["example://{id}"]


async def test_what_was_learnt_of_what_pages_is_a_resource(finder: Finder, tmp_path: Path) -> None:
    async with connected(finder, tmp_path) as client:
        listed = {str(each.uri) for each in (await client.list_resources()).resources}
        coverage = json.loads(await read(client, "coverage://operations"))
        examples = json.loads(await read(client, "examples://list"))
        prompt = await client.get_prompt("solve_with_experience", {"instruction": TASK})
    assert listed == {"coverage://operations", "coverage://uses", "examples://list"}
    assert {each["operation"]: each["examples"] for each in coverage["operations"]}[
        'click button "Find" after textbox "Search"'
    ] == 1
    assert coverage["tiers"] == {"replayed": 4}
    assert {each["page"] for each in coverage["pages"]} >= {"/new"}
    assert [each["instruction"] for each in examples["examples"]].count(FIND) == 1
    assert (examples["more"], ROOMS in json.dumps(examples)) == (0, True)
    content = prompt.messages[0].content
    assert content.type == "text"
    assert content.text.startswith(f"{TASK}\n\nADDITIONAL INFORMATION")


async def test_outcomes_are_kept_over_a_restart_and_the_run_stays_as_it_is(
    run: Path, finder: Finder, tmp_path: Path
) -> None:
    before = files_of(run)
    served = tmp_path / "served"
    async with connected(finder, served) as client:
        ids = [each["id"] for each in (await called(client, "find_examples", instruction=TASK))["examples"]]
        kept = await called(client, "report_outcome", ids=[ids[0], "gone"], success=True, evidence="it is there")
        assert kept == {"kept": 1, "unknown": ["gone"]}
    with (served / "outcomes.jsonl").open("a") as file:
        file.write('{"time": "2026-')  # as a kill leaves it
    async with connected(finder, served) as client:
        await called(client, "report_outcome", ids=ids[:1], success=False)
        uses = json.loads(await read(client, "coverage://uses"))
    rows = [json.loads(line) for line in (served / "outcomes.jsonl").read_text().splitlines() if line.endswith("}")]
    assert [(row["ids"], row["success"], row["evidence"]) for row in rows] == [
        (ids[:1], True, "it is there"),
        (ids[:1], False, ""),
    ]
    assert uses[ids[0]] == {"shown": 1, "succeeded": 1, "failed": 1}
    assert files_of(run) == before


def test_outcomes_hold_no_secret_and_no_endless_text(tmp_path: Path) -> None:
    from lbi.storage.secrets import learn

    learn("hunter2-hunter2")
    kept = Served(tmp_path, clock=lambda: datetime(2026, 11, 29, tzinfo=UTC))
    kept.report(["a"], True, "the password hunter2-hunter2 works " + "x" * 10_000)
    (line,) = (tmp_path / "outcomes.jsonl").read_text().splitlines()
    assert "hunter2" not in line
    assert len(line) < 3_000
    assert json.loads(line)["time"] == "2026-11-29T00:00:00+00:00"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another folder with --out"):
        Served(tmp_path / "file" / "served")


async def test_skills_are_served_to_those_who_know_the_extension_and_as_resources_to_all(
    finder: Finder, tmp_path: Path
) -> None:
    main = write_skill(tmp_path / "skills")
    async with Client(experience_server(finder, Served(tmp_path), tmp_path / "skills")) as client:
        assert client.server_capabilities.extensions == {"io.modelcontextprotocol/skills": {}}
        listed = {str(each.uri) for each in (await client.list_resources()).resources}
        text = await read(client, "skill://add-a-lamp/SKILL.md")
    assert {uri for uri in listed if uri.startswith("skill://")} == {
        "skill://add-a-lamp/SKILL.md",
        "skill://add-a-lamp/references/FORM.md",
    }
    assert text == main


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_skills_are_listed_with_a_digest_of_every_file(finder: Finder, tmp_path: Path, version: str) -> None:
    main = write_skill(tmp_path / "skills")
    meta = {
        f"io.modelcontextprotocol/{name}": value
        for name, value in (
            ("protocolVersion", version),
            ("clientInfo", HELLO["clientInfo"]),
            ("clientCapabilities", {}),
        )
    }

    async def asked(method: str, **params: Any) -> Any:
        more = {"_meta": meta} if version == "2026-07-28" else {}
        headers = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": version,
            "mcp-method": method,
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | more}
        async with session.post(f"{address}/mcp", json=body, headers=headers) as reply:
            return await reply.json()

    async with (
        served_here(finder, tmp_path, tmp_path / "skills") as address,
        aiohttp.ClientSession() as session,
    ):
        (entry,) = (await asked("skills/list"))["result"]["skills"]
        same = (await asked("skills/get", uri="skill://add-a-lamp/SKILL.md"))["result"]
        unknown = await asked("skills/get", uri="skill://other/SKILL.md")
    assert entry["frontmatter"] == {"name": "add-a-lamp", "description": "Add a lamp. Use it when a lamp is missing."}
    assert entry["resources"][0] == {
        "uri": "skill://add-a-lamp/SKILL.md",
        "digest": f"sha256:{hashlib.sha256(main.encode()).hexdigest()}",
        "size": len(main),
    }
    assert [each["uri"] for each in entry["resources"]][1:] == ["skill://add-a-lamp/references/FORM.md"]
    assert (same["skill"], same["resultType"], "ttlMs" in same) == (entry, "complete", True)
    assert unknown["error"]["code"] == -32602


def write_skill(folder: Path) -> str:
    """A skill in a folder of skills, beside one whose name is not its folder's; the text of its main file."""
    skill = folder / "add-a-lamp"
    (skill / "references").mkdir(parents=True)
    main = "---\nname: add-a-lamp\ndescription: Add a lamp. Use it when a lamp is missing.\n---\n# Add a lamp\n"
    (skill / "SKILL.md").write_text(main)
    (skill / "references" / "FORM.md").write_text("Name, Colour, Room\n")
    (skill / "link").symlink_to("/etc/hostname")
    (folder / "other").mkdir()
    (folder / "other" / "SKILL.md").write_text("---\nname: not-the-folder\ndescription: x\n---\n")
    return main


def test_what_cannot_be_served_is_one_line(run: Path, tmp_path: Path) -> None:
    for arguments, told in (
        ((tmp_path,), "no run in"),
        ((run, "--mcp", "sse"), 'no transport "sse"; there are http and stdio'),
        ((run, "--mcp", "stdio", "--upstream", "http://127.0.0.1:9"), "exclude each other"),
        ((run, "--arm", "baseline", "--port", "0"), "shows no examples"),
        ((run, "--upstream", "ftp://x", "--port", "0"), "no address of a model"),
        ((run, "--upstream", "http://me:key@127.0.0.1:9/", "--port", "0"), "without a key in it"),
    ):
        ran = lbi_here("serve", *arguments)
        assert (ran.returncode, ran.stdout) == (2, ""), ran
        (line,) = [line for line in ran.stderr.splitlines() if line.startswith("lbi: ")]
        assert told in line


def test_without_its_extra_it_says_which(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mcp" else find(name))
    ran = lbi_here("serve", run)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "pip install 'learn-by-interact[mcp]'" in ran.stderr
