"""Words in a quoted text that an instruction explains: 'the text "From DATE on", where DATE is 2026-05-04'."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”")
_VALUE = r"(?:\"(?P<quoted>[^\"]+)\"|(?P<bare>[^\s,;\"]+(?: [A-Z][\w-]*)*))"
#: how it is told what a word stands for; {0} is the word
_TOLD = (
    r"(?:where|with)? ?{0} (?:is|are|being|stands for|means|=|as) (?:to be )?"
    r"(?:(?:replaced by|filled with) )?(?:the )?{1}",
    r"(?:with|put|write|enter|insert|use) {1} (?:in place of|instead of|for|in the place of) {0}",
    r"(?:replace|replacing|substitute) {0} (?:by|with) {1}",
    r"(?:for|instead of|in place of) {0},? (?:put in|put|write|enter|insert|use|take|fill in|comes) {1}",
)


def with_values(instruction: str) -> str:
    """The instruction with each explained word of a quoted text replaced by what it stands for."""
    quoted = list(_QUOTED.finditer(instruction))
    outside = _QUOTED.sub(lambda match: match[0] if len(match[0].split()) < 2 else " " * len(match[0]), instruction)
    for word in dict.fromkeys(w for match in quoted for w in re.findall(r"\b[A-Z][A-Z_]+\b", match[0])):
        value = _stands_for(word, outside)
        if value:
            mark = re.compile(rf"[<\[{{(]?\b{word}\b[>\]}})]?")
            pieces, at = [], 0
            for match in _QUOTED.finditer(instruction):
                pieces += [instruction[at : match.start()], mark.sub(value.replace("\\", r"\\"), match[0])]
                at = match.end()
            instruction = "".join([*pieces, instruction[at:]])
    return instruction


def _stands_for(word: str, said: str) -> str:
    for pattern in _TOLD:
        whole = pattern.replace("{0}", rf"[\"<\[{{(]?{word}[\">\]}})]?").replace("{1}", _VALUE)
        if match := re.search(whole, said, re.IGNORECASE):
            return match["quoted"] or match["bare"].rstrip(".!?")
    return ""
