"""The board: ``python serve.py PORT`` serves board.html and a JSON API on board.db, both beside this file.

GET /api/board?filter=WORDS; POST /api/cards; PUT and DELETE /api/cards/7; PUT /api/settings/reminders.
"""

from __future__ import annotations

import http.server
import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).parent
COLUMNS = ("To do", "Doing", "Done")


def query(sql: str, *values: object) -> list[dict[str, Any]]:
    """Carry out one statement and commit it."""
    database = sqlite3.connect(HERE / "board.db", timeout=10)
    database.row_factory = sqlite3.Row
    try:
        with database:
            return [dict(row) for row in database.execute(sql, values).fetchall()]
    finally:
        database.close()


def board(words: str) -> dict[str, Any]:
    part = f"%{words}%"
    found = "SELECT * FROM card WHERE title LIKE ? OR description LIKE ? ORDER BY id"
    settings = {row["name"]: bool(row["value"]) for row in query("SELECT * FROM setting")}
    return {"columns": COLUMNS, "cards": query(found, part, part), "settings": settings}


def card_of(said: dict[str, Any]) -> tuple[str, str, str, str, int]:
    """What a card is to be. Raises ValueError that says what is wrong."""
    title = str(said.get("title", "")).strip()
    if not title:
        raise ValueError("A card needs a title.")
    if said.get("column") not in COLUMNS:
        raise ValueError(f"The column must be one of {', '.join(COLUMNS)}.")
    description, owner = str(said.get("description", "")).strip(), str(said.get("owner", "")).strip()
    return title, description, said["column"], owner, int(bool(said.get("blocked")))


class Board(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/":
            return self.answer((HERE / "board.html").read_bytes(), "text/html; charset=utf-8")
        if address.path == "/api/board":
            return self.say(board(parse_qs(address.query).get("filter", [""])[0].strip()))
        self.say({"error": "There is no such address."}, 404)

    def do_POST(self) -> None:
        self.change("POST")

    def do_PUT(self) -> None:
        self.change("PUT")

    def do_DELETE(self) -> None:
        self.change("DELETE")

    def change(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = re.fullmatch(r"/api/cards/(\d+)", self.path)
        try:
            said = json.loads(body or "{}")
            if method == "POST" and self.path == "/api/cards":
                columns = 'INSERT INTO card (title, description, "column", owner, blocked)'
                query(f"{columns} VALUES (?, ?, ?, ?, ?)", *card_of(said))
            elif method == "PUT" and number:
                values = 'title = ?, description = ?, "column" = ?, owner = ?, blocked = ?'
                query(f"UPDATE card SET {values} WHERE id = ?", *card_of(said), int(number[1]))
            elif method == "DELETE" and number:
                query("DELETE FROM card WHERE id = ?", int(number[1]))
            elif method == "PUT" and self.path == "/api/settings/reminders":
                query("UPDATE setting SET value = ? WHERE name = 'reminders'", int(bool(said.get("on"))))
            else:
                return self.say({"error": "There is no such address."}, 404)
        except ValueError as error:
            return self.say({"error": str(error)}, 422)
        self.say({})

    def say(self, value: dict[str, Any], status: int = 200) -> None:
        self.answer(json.dumps(value).encode(), "application/json", status)

    def answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Board).serve_forever()
