"""What others wrote is shown at the terminal, and never obeyed by it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

import lbi.cli.app
from lbi.monitoring.terminal import escaped, open_console, say

NASTY = "\x1b[2J \x1b]0;title\x07 \x9b31m \x85 \u202egnp.exe\u2066 \r over \x7f \u200f \u2028 \U000e0041 \ud800 \x00"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u206f\U000e0000-\U000e007f\ud800]")


def test_control_characters_are_written_out_and_other_text_stays() -> None:
    assert not CONTROL.search(escaped(NASTY))
    assert escaped("\x1b\u202e") == "\\u001b\\u202e"
    assert escaped("Größe\t日本 🙂 👩\u200d🔧\n") == "Größe\t日本 🙂 👩\u200d🔧\n"


def test_json_that_is_printed_stays_the_same_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": NASTY.replace("\ud800", "")}
    say(json.dumps(value, ensure_ascii=False))
    printed = capsys.readouterr().out
    assert not CONTROL.search(printed)
    assert json.loads(printed) == value


def test_a_console_draws_tables_and_obeys_no_text() -> None:
    console = open_console()
    console.file = io.StringIO()
    table = Table("name", NASTY)
    table.add_row("x", NASTY)
    console.print(table)
    console.print(NASTY, markup=False)
    assert "┃" in console.file.getvalue()
    assert not CONTROL.search(console.file.getvalue())


def test_every_print_of_the_command_line_goes_through_it() -> None:
    package = Path(str(lbi.cli.app.__file__)).parents[1]
    for file in (*package.glob("cli/**/*.py"), *package.glob("monitoring/*.py")):
        if file.name == "terminal.py":  # the function itself
            continue
        text = file.read_text()
        assert not re.search(r"(?<![\w.])print\(", text), file
        assert "Console(stderr" not in text, file


def test_a_reader_that_ends_ends_the_command_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "lbi", "list", "--json"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")
