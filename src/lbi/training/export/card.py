"""The card of a data set, README.md: what a stranger has to know before training on it, and a hub's front matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lbi.protocols import Json

#: licences that a hub knows by these names; every other one is told as "other" with its name
OF_HUB = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "unlicense", "cc0-1.0", "cc-by-3.0"),
    *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gfdl", "gpl-2.0", "gpl-3.0"),
    *("lgpl-2.1", "lgpl-3.0", "agpl-3.0"),
)


def card(report: Json) -> str:
    """The page for the content of export.json."""
    return "\n".join([*_front_matter(report), *_body(report)]) + "\n"


def _front_matter(report: Json) -> Iterator[str]:
    """Which file is which side, for readers of data sets; licences only where all documents have one."""
    yield from ("---", "configs:", "- config_name: default", "  data_files:")
    for name in report["files"]:
        yield from (f"  - split: {Path(name).stem}", f"    path: {name}")
    licences = list(report["licences"])
    if len(licences) == 1 and licences[0] != "unknown":
        name = _plain(licences[0])
        yield from ([f"license: {name}"] if name in OF_HUB else ["license: other", f"license_name: {name}"])
    yield from ("tags:", "- agents", "- learn-by-interact", "---", "")


def _plain(text: str) -> str:
    return "".join(char if char.isalnum() or char in ".-" else "-" for char in text).lower()


def _body(report: Json) -> Iterator[str]:
    made_by = report["made_by"]
    yield from ("# Steps of an agent, with instructions written afterwards", "")
    yield (
        "Each row is one step: the prompt that an agent is asked with, and its reply. Instructions were constructed "
        "backward from what really happened (Learn-by-Interact, arXiv 2501.10893)."
    )
    yield from ("", "## Composition", "", "| | " + " | ".join(report["rows"]) + " |")
    yield "|---|" + "---|" * len(report["rows"])
    for what in ("rows", "examples", "trajectories", "lineages", "tokens"):
        yield f"| {what} | " + " | ".join(f"{count:,}" for count in report[what].values()) + " |"
    yield ""
    yield f"Tokens by {report['lengths']['measured_by']}; the longest row has {report['lengths']['longest_tokens']:,}."
    yield "No document, task, trajectory or instruction is on both sides."
    yield ""
    for title, counts in (
        ("Kinds of examples", report["kinds"]),
        ("Tiers, from the least to the most proved: unverified, committee, replayed, checked", report["tiers"]),
        ("Lengths in steps: short under 5, medium 5 to 9, long 10 or more", report["spans"]),
        ("Licences of the documents", report["licences"]),
        ("Left out", report["left_out"]),
    ):
        yield from _counts(title, counts)
    yield from _origin(made_by)


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield f"**{title}:** " + ("; ".join(f"{name} {count:,}" for name, count in counts.items()) or "none") + "."
    yield ""


def _origin(made_by: Mapping[str, Any]) -> Iterator[str]:
    yield from ("## Origin", "")
    for key in ("act", "label", "judges"):
        if key in made_by:
            value = made_by[key]
            yield f"- {_ROLES[key]}: {', '.join(value) if isinstance(value, list) else value}"
    if made_by.get("offline"):
        yield "- Made by the offline model, which is no language model."
    for role, digest in made_by.get("prompts", {}).items():
        yield f"- prompt {role}: {digest} (as it was when this was exported)"
    yield from ("", "## Contamination", "")
    checked = made_by.get("contamination")
    if not checked:
        yield "Not compared with any held-out task."
        return
    yield (
        f"Compared with {checked['tasks']:,} held-out tasks: {checked['duplicates']:,} have an exact or near duplicate "
        f"among the instructions; the nearest of the others is {checked['nearest']:.2f} alike (1 = equal)."
    )


_ROLES = {"act": "acted", "label": "wrote the instructions", "judges": "judged"}
