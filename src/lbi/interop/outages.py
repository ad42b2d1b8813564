"""The message of a failed call -> which failure of infrastructure it tells of: "MCP error -32001" -> "timeout"."""

from __future__ import annotations

import re

#: what the text of a failed call says if infrastructure, or a person, prevented it
_OUTAGES = {
    "interrupted": r"interrupted by (?:the )?user|user (?:doesn't|does not|did not) want to proceed|"
    r"tool use was rejected|rejected by (?:the )?user|aborted by user|user cancelled",
    "provider": r"overloaded|rate.?limit(?:ed)?|too many requests|api error|internal server error|"
    r"service unavailable|bad gateway|status(?: code)?:? (?:429|5\d\d)",
    "timeout": r"timed? ?out|deadline exceeded|-32001",
    "connection": r"econn(?:reset|refused|aborted)|connection (?:reset|refused|closed|error)|socket hang up|"
    r"network is unreachable|name or service not known|temporary failure in name resolution|eai_again|"
    r"server disconnected|broken pipe|-32000",
    "environment": r"(?:container|sandbox|browser|target page|session) (?:has )?(?:been )?(?:closed|crashed|died|"
    r"not running|disconnected|terminated)|no space left on device|cannot connect to the docker daemon",
}
_OUTAGE = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _OUTAGES.items()), re.IGNORECASE)


def outage_in(text: str) -> str:
    """Which failure of infrastructure the message of a failed call tells of; "" if none: then it is the agent's."""
    match = _OUTAGE.search(text[:1000])
    return match.lastgroup or "" if match else ""
