"""The notes application: ``python serve.py PORT`` serves notes.db, which lies beside this file, on 127.0.0.1."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

from flask import Flask, abort, redirect, render_template_string, request

DATABASE = Path(__file__).with_name("notes.db")
PAGE = """
<!doctype html>
<html lang="en">
<title>{{ title }} – Notes</title>
<style>
  body { font: 16px/1.5 sans-serif; max-width: 44em; margin: 1em auto; }
  nav a { margin-right: 1em; } nav form { display: inline; } label { display: block; margin: .5em 0; }
</style>
<nav>
  <a href="/">All notes</a> <a href="/new">New note</a> <a href="/tags">Tags</a>
  <form action="/search">
    <input name="q" type="search" aria-label="Search notes" value="{{ q }}"> <button>Search</button>
  </form>
</nav>
<main>
<h1>{{ title }}</h1>
{% if error %}<p role="alert">{{ error }}</p>{% endif %}
"""
LIST = """
{% if notes %}
<ul>
{% for note in notes %}
  <li><a href="/notes/{{ note.id }}">{{ note.title }}</a>{% if note.tags %} ({{ note.tags }}){% endif %}</li>
{% endfor %}
</ul>
{% else %}<p>No notes found.</p>{% endif %}
"""
FORM = """
<form method="post">
  <label>Title <input name="title" value="{{ note.title }}"></label>
  <label>Text <textarea name="text" rows="6" cols="60">{{ note.text }}</textarea></label>
  <button>{{ button }}</button> <a href="{{ cancel }}">Cancel</a>
</form>
"""
NOTE = """
<p style="white-space: pre-line">{{ note.text }}</p>
<h2>Tags</h2>
{% if tags %}
<ul>
{% for tag in tags %}
  <li><a href="/tags/{{ tag.name | urlencode }}">{{ tag.name }}</a>
    <form method="post" action="/notes/{{ note.id }}/untag" style="display: inline">
      <button name="tag" value="{{ tag.name }}">Remove tag {{ tag.name }}</button>
    </form></li>
{% endfor %}
</ul>
{% else %}<p>This note has no tags.</p>{% endif %}
<form method="post" action="/notes/{{ note.id }}/tag">
  <label>Tag <input name="tag"></label> <button>Add tag</button>
</form>
<p><a href="/notes/{{ note.id }}/edit">Edit note</a></p>
<form method="post" action="/notes/{{ note.id }}/delete" onsubmit="return confirm('Delete this note?')">
  <button>Delete note</button>
</form>
"""
TAGS = """
<ul>
{% for tag in tags %}
  <li><a href="/tags/{{ tag.name | urlencode }}">{{ tag.name }}</a>:
    {{ tag.count }} {{ "note" if tag.count == 1 else "notes" }}</li>
{% endfor %}
</ul>
"""
NOTES = """SELECT note.id, title, text, coalesce(group_concat(tag.name, ', '), '') AS tags
           FROM note LEFT JOIN tag ON tag.note = note.id"""
app = Flask(__name__)


def query(sql: str, *values: object) -> list[sqlite3.Row]:
    """Carry out one statement and commit it."""
    database = sqlite3.connect(DATABASE, timeout=10)
    database.row_factory = sqlite3.Row
    try:
        with database:
            database.execute("PRAGMA foreign_keys = ON")
            return database.execute(sql, values).fetchall()
    finally:
        database.close()


def page(body: str, title: str, **values: Any) -> str:
    return render_template_string(PAGE + body + "</main></html>", title=title, **{"q": "", "error": ""} | values)


def found(number: int) -> sqlite3.Row:
    """The note of that number, or the answer 404."""
    rows = query("SELECT * FROM note WHERE id = ?", number)
    return rows[0] if rows else abort(404)


@app.get("/")
def all_notes() -> str:
    return page(LIST, "All notes", notes=query(f"{NOTES} GROUP BY note.id ORDER BY title"))


@app.get("/search")
def search() -> str:
    words = request.args.get("q", "").strip()
    part = f"%{words}%"
    notes = query(f"{NOTES} WHERE title LIKE ? OR text LIKE ? GROUP BY note.id ORDER BY title", part, part)
    return page(LIST, f"Notes with “{words}”", notes=notes, q=words)


@app.route("/new", methods=["GET", "POST"])
def new() -> Any:
    return edited(None, {"title": "", "text": ""}, "New note", "Save note")


@app.route("/notes/<int:number>/edit", methods=["GET", "POST"])
def edit(number: int) -> Any:
    return edited(number, dict(found(number)), "Edit note", "Save changes")


def edited(number: int | None, note: dict[str, str], title: str, button: str) -> Any:
    """The form, or what it sends put into the database."""
    back = "/" if number is None else f"/notes/{number}"
    if request.method == "GET":
        return page(FORM, title, note=note, button=button, cancel=back)
    note = {"title": request.form["title"].strip(), "text": request.form["text"].replace("\r\n", "\n").strip()}
    if not note["title"]:
        return page(FORM, title, note=note, button=button, cancel=back, error="A note needs a title.")
    if number is None:
        rows = query("INSERT INTO note (title, text) VALUES (?, ?) RETURNING id", note["title"], note["text"])
        return redirect(f"/notes/{rows[0]['id']}", 303)
    query("UPDATE note SET title = ?, text = ? WHERE id = ?", note["title"], note["text"], number)
    return redirect(back, 303)


@app.get("/notes/<int:number>")
def show(number: int) -> str:
    note = found(number)
    tags = query("SELECT name FROM tag WHERE note = ? ORDER BY name", number)
    return page(NOTE, note["title"], note=note, tags=tags)


@app.post("/notes/<int:number>/delete")
def delete(number: int) -> Any:
    query("DELETE FROM note WHERE id = ?", found(number)["id"])
    return redirect("/", 303)


@app.post("/notes/<int:number>/tag")
def tag(number: int) -> Any:
    if name := request.form["tag"].strip().lower():
        query("INSERT OR IGNORE INTO tag VALUES (?, ?)", found(number)["id"], name)
    return redirect(f"/notes/{number}", 303)


@app.post("/notes/<int:number>/untag")
def untag(number: int) -> Any:
    query("DELETE FROM tag WHERE note = ? AND name = ?", number, request.form["tag"])
    return redirect(f"/notes/{number}", 303)


@app.get("/tags")
def tags() -> str:
    return page(TAGS, "Tags", tags=query("SELECT name, count(*) AS count FROM tag GROUP BY name ORDER BY name"))


@app.get("/tags/<name>")
def tagged(name: str) -> str:
    ids = "note.id IN (SELECT note FROM tag WHERE name = ?)"
    notes = query(f"{NOTES} WHERE {ids} GROUP BY note.id ORDER BY title", name)
    return page(LIST, f"Notes with the tag {name}", notes=notes)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
