"""Claude Code: what the SDK of its makers reads of a session: WHEEL SESSION_ID, in the folder CLAUDE_CONFIG_DIR.

Prints what was typed, the calls with what they were given, and their results by the calls' ids.
"""

import json
import sys

wheel, session = sys.argv[1:]
sys.path.insert(0, wheel)

from claude_agent_sdk import get_session_messages  # noqa: E402

typed, calls, results = [], [], {}
for message in get_session_messages(session):
    content = message.message["content"]
    if isinstance(content, str):
        typed.append(content)
    for block in content if isinstance(content, list) else []:
        if block["type"] == "tool_use":
            calls.append([block["id"], block["name"], block["input"]])
        elif block["type"] == "tool_result":
            results.setdefault(block["tool_use_id"], block["content"])
print(json.dumps({"typed": typed, "calls": calls, "results": results}))
