"""The stock list: ``python serve.py PORT`` serves stock.db, which lies beside this file, on 127.0.0.1."""

from __future__ import annotations

import hashlib
import hmac
import html
import http.server
import os
import re
import sqlite3
import sys
from datetime import date
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

DATABASE = Path(__file__).with_name("stock.db")
USER, PASSWORD = "clerk", os.environ["STOCK_PASSWORD"]
# in the cookie of who is logged in; nothing of it is kept here, so a reset of the database logs nobody out
TOKEN = hmac.new(PASSWORD.encode(), USER.encode(), hashlib.sha256).hexdigest()
CATEGORIES = ("Office", "Food", "Household", "Tools")
STORAGES = ("Dry", "Cool", "Frozen")
PAGE_LENGTH = 8
EMPTY = {
    **{"name": "", "number": "", "category": "Office", "price": "", "quantity": "0", "delivered": "", "email": ""},
    **{"page": "", "fragile": 0, "storage": "Dry"},
}
STYLE = """
body { font: 16px/1.4 sans-serif; max-width: 56em; margin: 1em auto; } nav a, nav form { margin-right: 1em; }
nav form { display: inline; } label, fieldset { display: block; margin: .5em 0; } fieldset label { display: inline; }
table { border-collapse: collapse; } td, th { padding: .2em .8em .2em 0; text-align: left; }
[role=alert] { color: #a00; }
"""


def text(value: object) -> str:
    """Safe within HTML, in a text and in an attribute."""
    return html.escape(str(value))


def query(sql: str, *values: object) -> list[sqlite3.Row]:
    """Carry out one statement and commit it."""
    database = sqlite3.connect(DATABASE, timeout=10)
    database.row_factory = sqlite3.Row
    try:
        with database:
            return database.execute(sql, values).fetchall()
    finally:
        database.close()


# what is entered


def problems(entry: dict[str, Any], own: int = 0) -> list[str]:
    """What is wrong with a product as it was entered, and what would be right. ``own``: its number in the database."""
    found = []
    if not entry["name"]:
        found.append("Name is missing.")
    if not re.fullmatch(r"[A-Z]{2}-\d{4}", entry["number"]):
        found.append("Article number must be two capital letters, a hyphen and four digits, such as FO-2044.")
    elif query("SELECT 1 FROM product WHERE number = ? AND id <> ?", entry["number"], own):
        found.append(f"Article number {entry['number']} is in use already; each product needs its own.")
    if entry["category"] not in CATEGORIES:
        found.append(f"Category must be one of {', '.join(CATEGORIES)}.")
    if not re.fullmatch(r"\d+([.]\d{1,2})?", entry["price"]):
        found.append("Price must be a number with at most two decimals, such as 12.50.")
    if not re.fullmatch(r"\d+", entry["quantity"]):
        found.append("Quantity must be a whole number, 0 or more, such as 25.")
    if entry["delivered"] and not is_date(entry["delivered"]):
        found.append("Last delivery must be a date written as year, month and day, such as 2025-03-14.")
    if entry["email"] and not re.fullmatch(r"[^@\s]+@[^@\s]+[.][^@\s]+", entry["email"]):
        found.append("Supplier's e-mail must be an address such as orders@supplier.example.")
    if entry["page"] and not re.fullmatch(r"https?://\S+", entry["page"]):
        found.append("Web page must begin with https://, such as https://supplier.example/product.")
    if entry["storage"] not in STORAGES:
        found.append(f"Storage must be one of {', '.join(STORAGES)}.")
    return found


def is_date(written: str) -> bool:
    try:
        return date.fromisoformat(written).isoformat() == written
    except ValueError:
        return False


def stored(entry: dict[str, Any]) -> dict[str, Any]:
    """What was entered, as the database holds it."""
    return {**entry, "price": float(entry["price"]), "quantity": int(entry["quantity"])}


# what is shown


def page(title: str, body: str) -> str:
    menu = """<nav><a href="/products">Products</a> <a href="/products/new">Add product</a>
      <form action="/products"><input type="search" name="q" aria-label="Search products">
        <button>Search</button></form>
      <form method="post" action="/logout"><button>Log out</button></form></nav>"""
    menu = menu if title != "Log in" else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{text(title)} – Stock</title>
      <style>{STYLE}</style>{menu}<main><h1>{text(title)}</h1>{body}</main></html>"""


def log_in_page(error: str = "") -> str:
    return page(
        "Log in",
        f"""{alert([error] if error else [])}<form method="post"><label>User name <input name="user"></label>
        <label>Password <input name="password" type="password"></label><button>Log in</button></form>""",
    )


def alert(messages: list[str]) -> str:
    lines = "".join(f"<p>{text(message)}</p>" for message in messages)
    return f'<div role="alert">{lines}</div>' if lines else ""


def list_page(said: dict[str, str]) -> str:
    """The products that fit, so many on a page; ``said`` holds q, category and page."""
    words, category = said.get("q", "").strip(), said.get("category", "")
    where, values = "(name LIKE ? OR number LIKE ?)", [f"%{words}%", f"%{words}%"]
    if category:
        where, values = f"{where} AND category = ?", [*values, category]
    rows = query(f"SELECT * FROM product WHERE {where} ORDER BY name", *values)
    pages = max(1, -(-len(rows) // PAGE_LENGTH))
    number = min(max(1, int(said["page"])), pages) if said.get("page", "").isdigit() else 1
    shown = rows[(number - 1) * PAGE_LENGTH : number * PAGE_LENGTH]
    lines = "".join(
        f'<tr><td><a href="/products/{row["id"]}">{text(row["name"])}</a></td><td>{text(row["number"])}</td>'
        f"<td>{text(row['category'])}</td><td>{row['price']:.2f}</td></tr>"
        for row in shown
    )
    heads = "".join(f"<th>{head}</th>" for head in ("Name", "Article number", "Category", "Price"))
    table = f"<table><tr>{heads}</tr>{lines}</table>" if rows else "<p>No product fits.</p>"
    return page(
        "Products",
        f"""<form action="/products"><label>Category <select name="category"><option value="">All categories</option>
        {options(CATEGORIES, category)}</select></label> <button>Show</button></form>{table}
        <p>Page {number} of {pages}</p>{turning(said, number, pages)}""",
    )


def turning(said: dict[str, str], number: int, pages: int) -> str:
    """Links to the page before and the page after."""
    near = [(number - 1, "Previous page"), (number + 1, "Next page")]
    return " ".join(
        f'<a href="/products?{text(urlencode({**said, "page": at}))}">{name}</a>'
        for at, name in near
        if 1 <= at <= pages
    )


def options(names: tuple[str, ...], chosen: str) -> str:
    return "".join(f"<option{' selected' if name == chosen else ''}>{name}</option>" for name in names)


def form_page(title: str, entry: dict[str, Any], button: str, back: str, wrong: list[str]) -> str:
    """The form of a product. The server checks what is entered, and says what it expects (hence ``novalidate``)."""

    def field(name: str, label: str, more: str = "") -> str:
        return f'<label>{label} <input name="{name}" value="{text(entry[name])}" {more}></label>'

    radios = "".join(
        f'<label><input type="radio" name="storage" value="{name}"{" checked" * (entry["storage"] == name)}> '
        f"{name}</label> "
        for name in STORAGES
    )
    return page(
        title,
        f"""{alert(wrong)}<form method="post" novalidate>
        {field("name", "Name")}{field("number", "Article number")}
        <label>Category <select name="category">{options(CATEGORIES, entry["category"])}</select></label>
        {field("price", "Price", 'type="number" min="0" step="0.01"')}
        {field("quantity", "Quantity", 'type="number" min="0" step="1"')}
        {field("delivered", "Last delivery", 'type="date"')}
        {field("email", "Supplier's e-mail", 'type="email"')}
        {field("page", "Web page", 'type="url"')}
        <label><input type="checkbox" name="fragile" value="1"{" checked" * bool(entry["fragile"])}> Fragile</label>
        <fieldset><legend>Storage</legend>{radios}</fieldset>
        <button>{button}</button> <a href="{back}">Cancel</a></form>""",
    )


def product_page(row: sqlite3.Row) -> str:
    said = {
        "Article number": row["number"],
        "Category": row["category"],
        "Price": f"{row['price']:.2f}",
        "Quantity": row["quantity"],
        "Last delivery": row["delivered"] or "unknown",
        "Supplier's e-mail": row["email"] or "unknown",
        "Web page": row["page"] or "none",
        "Fragile": "yes" if row["fragile"] else "no",
        "Storage": row["storage"],
    }
    lines = "".join(f"<dt>{name}</dt><dd>{text(value)}</dd>" for name, value in said.items())
    here = f"/products/{row['id']}"
    links = f'<p><a href="{here}/edit">Edit product</a> <a href="{here}/delete">Delete product</a></p>'
    return page(row["name"], f"<dl>{lines}</dl>{links}")


def delete_page(row: sqlite3.Row) -> str:
    return page(
        "Delete product",
        f"""<p>Delete “{text(row["name"])}” with all that is known of it? This cannot be undone.</p>
        <form method="post"><button>Yes, delete it</button> <a href="/products/{row["id"]}">No, keep it</a></form>""",
    )


# what is answered


class Stock(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/login":
            return self.answer(log_in_page())
        if not self.logged_in():
            return self.go("/login")
        if address.path in ("/", "/products"):
            return self.answer(list_page({name: values[0] for name, values in parse_qs(address.query).items()}))
        if address.path == "/products/new":
            return self.answer(form_page("Add product", EMPTY, "Save product", "/products", []))
        row, what = self.product(address.path)
        if row is None:
            return self.answer(page("Not found", "<p>There is no such page.</p>"), 404)
        if what == "edit":
            entry = {**dict(row), "price": f"{row['price']:.2f}"}
            return self.answer(form_page("Edit product", entry, "Save changes", f"/products/{row['id']}", []))
        self.answer(delete_page(row) if what == "delete" else product_page(row))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        said = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        path = urlsplit(self.path).path
        if path == "/login":
            return self.log_in(said)
        if not self.logged_in():
            return self.go("/login")
        if path == "/logout":
            return self.go("/login", "stock=; Path=/; Max-Age=0")
        if path == "/products/new":
            return self.save(said, None)
        row, what = self.product(path)
        if row is not None and what == "edit":
            return self.save(said, row["id"])
        if row is not None and what == "delete":
            query("DELETE FROM product WHERE id = ?", row["id"])
            return self.go("/products")
        self.answer(page("Not found", "<p>There is no such page.</p>"), 404)

    def log_in(self, said: dict[str, str]) -> None:
        if said.get("user") != USER or not hmac.compare_digest(said.get("password", ""), PASSWORD):
            return self.answer(log_in_page("User name or password is wrong."), 403)
        self.go("/products", f"stock={TOKEN}; Path=/; HttpOnly; SameSite=Lax")

    def logged_in(self) -> bool:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("stock")
        return cookie is not None and hmac.compare_digest(cookie.value, TOKEN)

    def save(self, said: dict[str, str], own: int | None) -> None:
        entry: dict[str, Any] = {name: said.get(name, "").strip() for name in EMPTY}
        entry["fragile"] = int("fragile" in said)
        if wrong := problems(entry, own or 0):
            title, button = ("Add product", "Save product") if own is None else ("Edit product", "Save changes")
            back = "/products" if own is None else f"/products/{own}"
            return self.answer(form_page(title, entry, button, back, wrong), 422)
        values = stored(entry)
        if own is None:
            marks = ", ".join("?" * len(values))
            sql = f"INSERT INTO product ({', '.join(values)}) VALUES ({marks}) RETURNING id"
            own = query(sql, *values.values())[0]["id"]
        else:
            changes = ", ".join(f"{name} = ?" for name in values)
            query(f"UPDATE product SET {changes} WHERE id = ?", *values.values(), own)
        self.go(f"/products/{own}")

    def product(self, path: str) -> tuple[sqlite3.Row | None, str]:
        """``/products/7/edit`` -> the product 7, and "edit"."""
        match = re.fullmatch(r"/products/(\d+)(?:/(edit|delete))?", path)
        rows = query("SELECT * FROM product WHERE id = ?", int(match[1])) if match else []
        return (rows[0] if rows else None), (match[2] or "") if match else ""

    def answer(self, said: str, status: int = 200) -> None:
        body = said.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def go(self, address: str, cookie: str = "") -> None:
        self.send_response(303)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stock).serve_forever()
