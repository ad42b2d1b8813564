#!/usr/bin/env bash
# Playwright's snapshot for models (`aria_snapshot(mode="ai")`, Python 1.65.0) marks what has a hand for a cursor with
# [cursor=pointer], so that an agent knows that plain boxes can be clicked. It leaves the mark out where the box with the
# hand is the only child of another box: the wrapper and the box become one line, the wrapper's reference is kept and
# the mark is lost. The page below has two boxes of the same style; only the one that has a
# paragraph beside it is marked. A click on the reference of the other hits the wrapper and need not run the handler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q playwright==1.65.0
browser=$(command -v chromium-headless-shell || command -v chromium || true)
[ -n "$browser" ] || "$folder/venv/bin/playwright" install chromium-headless-shell >/dev/null
BROWSER="$browser" "$folder/venv/bin/python" - <<'PY'
import os

from playwright.sync_api import sync_playwright

PAGE = """<div style="width:600px"><div style="cursor:pointer;width:60px">Atlas</div></div>
<div style="width:600px"><div style="cursor:pointer;width:60px">Borneo</div><p>Also</p></div>"""
with sync_playwright() as playwright:
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=os.environ["BROWSER"] or None, args=args)
    page = browser.new_page()
    page.set_content(PAGE)
    snapshot = page.aria_snapshot(mode="ai")
    print(snapshot)
    atlas = next(line for line in snapshot.splitlines() if "Atlas" in line)
    borneo = next(line for line in snapshot.splitlines() if "Borneo" in line)
    assert "cursor=pointer" in borneo, "the box beside a paragraph is no longer marked"
    assert "cursor=pointer" not in atlas, "the box alone in its wrapper is marked now"
    browser.close()
PY
echo "as described"
