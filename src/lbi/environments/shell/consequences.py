"""A shell action -> why it may change something: run("rm -r build") -> "rm may change something".

A command only reads if each of its parts is a program that is known to read, and nothing is written to a file, put
in the background or worked out by the shell. Whatever is not known to read may change something.
"""

from __future__ import annotations

import re
import shlex

from lbi.environments.shell.actions import Command

READING = frozenset(
    "basename cat cd cmp column comm cut date df diff dirname du echo egrep expr false fgrep fold grep head "  # noqa: SIM905
    "hexdump id join jq ls md5sum nl od paste pgrep printf ps pwd readlink realpath rev rg seq sha1sum "
    "sha256sum sort stat strings tac tail test tr true type uname wc which whoami [".split()
)
#: programs that read unless one of these stands in their line
UNLESS = {
    "find": re.compile(r"-(?:delete|exec|execdir|ok|okdir|fprint|fprint0|fprintf|fls)"),
    "sort": re.compile(r"-[A-Za-z]*o.*|--output.*|--compress-program.*"),
    "tree": re.compile(r"-[A-Za-z]*o.*|--output.*"),
    "date": re.compile(r"-[A-Za-z]*s.*|--set.*"),
    "uniq": re.compile(r"[^-].*"),
    "file": re.compile(r"-C|--compile"),
    "rg": re.compile(r"--pre\b.*|--hostname-bin.*"),
}
GIT = frozenset(
    [
        *("blame", "cat-file", "diff", "grep", "log", "ls-files", "ls-tree", "merge-base", "rev-list", "rev-parse"),
        *("shortlog", "show", "status"),
    ]
)
GIT_UNLESS = re.compile(r"-O.*|--output.*|--ext-diff|--textconv|--open-files-in-pager.*")
SED_PRINTS = re.compile(r"(?:\d+|\$|/[^/]*/)?(?:,(?:\d+|\$|/[^/]*/))?p")
SEPARATORS = {"|", "||", "&&", ";"}
#: what the shell would work out, or write to: its value is not in the text
WORKED_OUT = re.compile(r"`|\$['\"(]|<\(|>\(|\$\{[^}]*[@:=?]|\n")
TO_NOWHERE = re.compile(r"(?:[12&])?>\s?/dev/null|2>&1")


def why_it_may_change(command: Command) -> str:
    """Why an action may change something, in words for the person who is asked; "" if it only reads."""
    if command.kind in ("view", "finish"):
        return ""
    if command.kind != "run":
        return f"it writes {command.path}"
    return _of_line(command.value.strip())


def _of_line(line: str) -> str:
    line = TO_NOWHERE.sub(" ", line)
    if worked_out := WORKED_OUT.search(line):
        return f"the shell works out {worked_out[0]!r} first"
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return "the command cannot be read"
    parts: list[list[str]] = [[]]
    for word in words:
        if word in SEPARATORS:
            parts.append([])
        elif word and not word.strip(";&|<>()") and not set(word) <= {"<"}:
            return f"it has {word!r} in it"
        else:
            parts[-1].append(word)
    return next(filter(None, map(_of_part, parts)), "")


def _of_part(words: list[str]) -> str:
    if not words:
        return ""
    program, arguments = words[0], words[1:]
    if program == "git":
        return _of_git(arguments)
    if program == "sed":
        prints = arguments[:1] == ["-n"] and len(arguments) > 1 and SED_PRINTS.fullmatch(arguments[1])
        more = any(word.startswith("-") for word in arguments[2:])
        return "" if prints and not more else "sed may change something"
    if program not in READING and program not in UNLESS:
        return f"{program} may change something"
    unless = UNLESS.get(program)
    wrong = next((word for word in arguments if unless and unless.fullmatch(word)), "")
    return f"{program} {wrong} may change something" if wrong else ""


def _of_git(arguments: list[str]) -> str:
    wrong = next((word for word in arguments if GIT_UNLESS.fullmatch(word)), "")
    if not arguments or arguments[0] not in GIT or wrong:
        return f"git {wrong or ''.join(arguments[:1])}".strip() + " may change something"
    return ""
