"""Documents and exports that went wrong once: code whose lines are elements, options of directives, types of lists."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.training.export.sinks import FullestFirst

KILN = "```\nkiln:\n  heat: 900\n  hours: 6\n  fan: off\n```"
LINES = ["kiln:", "  heat: 900", "  hours: 6", "  fan: off"]
HTML = {
    "br": "<pre><code>" + "<br>".join(LINES) + "</code></pre>",
    "br at each end": "<pre>" + "".join(f"<span>{line}<br></span>" for line in LINES) + "</pre>",
    "div": "<pre><code>" + "".join(f"<div>{line}</div>" for line in LINES) + "</code></pre>",
    "div and line ends": "<pre>" + "\n".join(f"<div class='line'>{line}</div>" for line in LINES) + "</pre>",
    "span of a line": "<pre>" + "".join(f"<span class='code-line'>{line}</span>" for line in LINES) + "</pre>",
    "span and line ends": "<pre>" + "\n".join(f"<span class='line'>{line}</span>" for line in LINES) + "\n</pre>",
    "list": "<pre><ol>" + "".join(f"<li>{line}</li>" for line in LINES) + "</ol></pre>",
    "nested": "<pre><div><div>" + "".join(f"<div><span>{line}</span></div>" for line in LINES) + "</div></div></pre>",
    "no pre": "<code>" + "<br>".join(line.replace(" ", "&nbsp;") for line in LINES) + "</code>",
    "numbers": "<pre>" + "".join(f"<span class=lineno>{n}</span>{line}\n" for n, line in enumerate(LINES)) + "</pre>",
    "zero width": "<pre>" + "\n".join(f"{line}&#8203;" for line in LINES) + "</pre>",
}


def read(text: str, name: str) -> str:
    corpus = read_corpus([DocumentSource(text=text, format=name)])
    return "\n".join(document.text for document in corpus.documents)


@pytest.mark.parametrize("case", HTML)
def test_each_line_of_code_is_a_line(case: str) -> None:
    text = read(f"<h1>Kiln</h1><p>Write:</p>{HTML[case]}<p>Done.</p>", "html")
    assert KILN in text


def test_an_empty_line_of_code_stays_one() -> None:
    assert "```\na\n\nb\n```" in read("<pre><div>a</div><div></div><div>b</div></pre>", "html")
    assert "```\na\n\nb\n```" in read("<pre><div>a</div><div><br></div><div>b</div></pre>", "html")
    assert "```\na\n\nb\n```" in read("<pre><span class=line>a</span>\n<span class=line></span>\nb</pre>", "html")


def test_what_a_site_puts_beside_code_and_headings_is_no_text() -> None:
    text = read(
        "<h2>Set up<a class='hash-link' href='#s'>\u200b</a></h2><p>Soft\u00adware is <button>Saved</button></p>"
        "<div><pre>ls</pre><button aria-label='Copy code to clipboard'>Copy</button></div>",
        "html",
    )
    assert "## Set up\n" in text
    assert "Software is Saved" in text
    assert "Copy" not in text


RST = {
    "options": ".. code-block:: yaml\n   :emphasize-lines: 1\n   :caption: kiln.yaml\n   :linenos:\n\n",
    "unknown option": ".. code-block:: yaml\n   :frobnicate: 1\n\n",
    "sourcecode": ".. sourcecode:: yaml\n   :dedent: 2\n\n",
    "code": ".. code:: yaml\n   :number-lines: 5\n   :odd: 3\n\n",
    "no language": ".. code-block::\n   :linenos:\n\n",
    "prompt": ".. prompt:: bash\n   :prompts: $\n\n",
    "testcode": ".. testcode:: group\n   :hide:\n\n",
    "option of two lines": ".. code-block:: yaml\n   :emphasize-lines: 1,\n      3\n\n",
}


@pytest.mark.parametrize("case", RST)
def test_code_of_a_directive_keeps_its_fence_whatever_its_options_are(case: str) -> None:
    body = "".join(f"   {line}\n" for line in LINES)
    text = read(f"Kiln\n====\n\nWrite:\n\n{RST[case]}{body}\nDone.\n", "rst")
    assert KILN in text
    assert "yaml\n" not in text.replace("kiln.yaml", "")
    assert ":linenos:" not in text


OUTER = {
    "tab-set": [".. tab-set::", "   .. tab-item:: Linux"],
    "tabs": [".. tabs::", "   .. group-tab:: Linux", "      .. only:: html"],
    "grid": [".. grid:: 2", "   .. grid-item-card:: Linux"],
    **{name: [f".. {name}::"] for name in ("note", "seealso", "dropdown", "admonition:: Mind your fingers\n\n.. tip")},
    **{name: [f".. {name}:: 2.1"] for name in ("versionadded", "deprecated", "py:function", "collapse", "tab")},
}


@pytest.mark.parametrize("case", OUTER)
def test_code_within_another_directive_keeps_its_fence(case: str) -> None:
    depth = 3 * len(OUTER[case])
    code = textwrap.indent(
        ".. code-block:: yaml\n   :linenos:\n\n" + textwrap.indent("\n".join(LINES), "   "), " " * depth
    )
    text = read("Kiln\n====\n\nWrite:\n\n" + "\n\n".join(OUTER[case]) + f"\n\n{code}\n\nDone.\n", "rst")
    assert KILN in text
    assert "::" not in text
    assert text.rstrip().endswith("Done.")


def test_directives_that_lie_too_deep_keep_their_markup() -> None:
    deep = "\n\n".join(f"{' ' * 3 * level}.. tab-item:: {level}" for level in range(60))
    text = read(f"Kiln\n====\n\nWrite:\n\n{deep}\n\n{' ' * 180}Fan off.\n", "rst")
    assert "Fan off." in text


def test_the_first_rows_of_json_lines_hold_something_in_every_list(tmp_path: Path) -> None:
    sink = FullestFirst(tmp_path / "train.jsonl")
    rows = [{"at": at, "parents": [], "verdicts": [{"votes": []}]} for at in range(100)]
    rows[70] = {"at": 70, "parents": [], "verdicts": [{"votes": [{"model": "m"}]}]}
    rows[99] = {"at": 99, "parents": ["p"], "verdicts": []}
    for row in rows:
        sink.put(row)
    sink.close()
    written = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["at"] for row in written[:4]] == [0, 70, 99, 1]
    assert sorted(written, key=lambda row: row["at"]) == rows
    assert sorted(file.name for file in tmp_path.iterdir()) == ["train.jsonl"]
