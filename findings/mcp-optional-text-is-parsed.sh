#!/usr/bin/env bash
# Expected: an argument that a tool declares as `str | None` takes the same texts as one declared as `str`. What happens
# (the MCP SDK for Python, 2.3.0): before arguments are checked, texts for parameters that are not just `str` are read as
# JSON. So an optional text that happens to be a JSON object or list is refused ("Input should be a valid string"), and
# the text "null" arrives as None. Numbers are left alone, so most tests see nothing. Concerns tools with an optional text
# into which agents put file contents, payloads, or what another tool answered: `write(path, content: str | None)` cannot
# write {"a": 1}. The tool's schema, which the agent was shown, allows these texts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mcp==2.3.0
cd "$folder"
venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
import asyncio
import json
from importlib.metadata import version

from mcp import Client
from mcp.server import MCPServer

server = MCPServer("notes", log_level="CRITICAL")


@server.tool()
def plain(content: str) -> str:
    return repr(content)


@server.tool()
def optional(content: str | None = None) -> str:
    return repr(content)


async def changed():
    """What is no longer as described; "" = nothing."""
    async with Client(server) as client:
        for tool in (await client.list_tools()).tools:
            print(tool.name, "declares", json.dumps(tool.input_schema["properties"]["content"]))
        for text, expected in (("hello", None), ("5", None), ('{"a": 1}', "refused"), ("[1]", "refused"), ("null", "None")):
            arrived = {}
            for name in ("plain", "optional"):
                result = await client.call_tool(name, {"content": text})
                arrived[name] = "refused" if result.is_error else result.content[0].text
            print(f"sent {text!r}: plain got {arrived['plain']}, optional got {arrived['optional']}")
            if arrived != {"plain": repr(text), "optional": expected or repr(text)}:
                return f"changed: of {text!r} arrives {arrived}"
    return ""


print("mcp", version("mcp"))
if said := asyncio.run(changed()):
    raise SystemExit(said)
PY
echo "as described"
