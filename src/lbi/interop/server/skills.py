"""A folder of Agent Skills -> the MCP extension that serves them: `skills/list`, `skills/get`, and their files.

RUN/skills/store-an-item/SKILL.md  ->  skill://store-an-item/SKILL.md, with a digest of every file (SEP-2640)

Read once, so that digests and contents are those of one moment. https://skills.extensions.modelcontextprotocol.io
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from mcp.server import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, ResourceBinding
from mcp.server.mcpserver.resources import BinaryResource, TextResource
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, RequestParams

MAIN, SOURCES = "SKILL.md", "references/sources.json"
MOST_FILES, MOST_BYTES = 512, 16 * 1024 * 1024  # of a skill, by the extension's specification
FRESH_MS = 300_000


@dataclass(frozen=True)
class Skill:
    """A skill's front matter, and the contents of its files by their paths within it."""

    name: str
    frontmatter: dict[str, Any]
    files: dict[str, bytes]

    def uri(self, path: str = MAIN) -> str:
        return f"skill://{self.name}/{quote(path)}"

    @property
    def item(self) -> str:
        """How votes name it; "" for one that lbi did not write."""
        told = self.frontmatter.get("metadata")
        id_ = told.get("lbi-skill") if isinstance(told, dict) else None
        return f"skill:{self.name}:{id_}" if isinstance(id_, str) else ""

    @property
    def sources(self) -> frozenset[str]:
        """Ids of the examples that its statements rest on; none of one that lbi did not write."""
        try:
            told = json.loads(self.files[SOURCES])
            return frozenset(id_ for said in told["statements"] for id_ in said["examples"])
        except (KeyError, TypeError, ValueError):
            return frozenset()

    @property
    def entry(self) -> dict[str, Any]:
        resources = [
            {"uri": self.uri(path), "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
            for path, content in self.files.items()
        ]
        return {"uri": self.uri(), "frontmatter": self.frontmatter, "resources": resources}


class GetSkillParams(RequestParams):
    """Which skill is wanted."""

    uri: str


class SkillsExtension(Extension):
    """Serves skills to clients that know the extension, and their files as resources to all others."""

    identifier = "io.modelcontextprotocol/skills"

    def __init__(self, skills: Sequence[Skill], shown: Callable[[str], None] = lambda _: None) -> None:
        """``shown`` is told the item of each skill that is asked for."""
        self._skills = {skill.uri(): skill for skill in skills}
        self._shown = shown
        self._by_name = {
            name: skill for skill in skills for name in (skill.name, skill.uri(), skill.item) if name and skill.item
        }

    def item(self, name: str) -> str:
        """How votes name the skill with this name, address or item; "" = there is none."""
        skill = self._by_name.get(name)
        return skill.item if skill else ""

    def resources(self) -> Sequence[ResourceBinding]:
        files = [(skill, path) for skill in self._skills.values() for path in skill.files]
        return [ResourceBinding(_resource(skill, path, self._shown)) for skill, path in files]

    def methods(self) -> Sequence[MethodBinding]:
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list),
            MethodBinding("skills/get", GetSkillParams, self._get),
        ]

    async def _list(self, _: ServerRequestContext[Any, Any], __: PaginatedRequestParams) -> dict[str, Any]:
        return _complete({"skills": [skill.entry for skill in self._skills.values()]})

    async def _get(self, _: ServerRequestContext[Any, Any], params: GetSkillParams) -> dict[str, Any]:
        skill = self._skills.get(params.uri)
        if skill is None:
            raise MCPError(code=INVALID_PARAMS, message=f"no skill {params.uri[:200]}")
        self._shown(skill.item)
        return _complete({"skill": skill.entry})


class _Counted(TextResource):
    """The main file of a skill, which tells that it is read."""

    asked: Callable[[], None]

    async def read(self) -> str:
        self.asked()
        return await super().read()


def skills_extension(
    folder: Path | None,
    shown: Callable[[str], None] = lambda _: None,
    known: Callable[[str], bool] = lambda _: True,
) -> SkillsExtension | None:
    """The extension for the skills in a folder; None if there are none.

    ``shown`` is told the item of each that is asked for. One that rests on an example not ``known`` is left out.
    """
    skills = [each for each in read_skills(folder) if all(map(known, each.sources))] if folder is not None else []
    return SkillsExtension(skills, shown) if skills else None


def resting_on_nothing(folder: Path, known: Callable[[str], bool]) -> dict[str, list[str]]:
    """{name of a skill: ids of its examples that are gone}."""
    found = {skill.name: sorted(id_ for id_ in skill.sources if not known(id_)) for skill in read_skills(folder)}
    return {name: gone for name, gone in found.items() if gone}


def read_skills(folder: Path) -> Iterator[Skill]:
    """The skills that are as the specification wants them; what is none is left out."""
    for main in sorted(folder.glob(f"*/{MAIN}")):
        files = _files(main.parent)
        frontmatter = _frontmatter(files.get(MAIN, b""))
        if frontmatter.get("name") == main.parent.name and isinstance(frontmatter.get("description"), str):
            yield Skill(main.parent.name, frontmatter, files)


def _files(folder: Path) -> dict[str, bytes]:
    """The contents of all files; none at all where there are too many or too much. Links are not followed."""
    files: dict[str, bytes] = {}
    left = MOST_BYTES
    for top, folders, names in os.walk(folder):
        folders.sort()
        for file in (Path(top, name) for name in sorted(names)):
            if file.is_symlink() or not file.is_file():
                continue
            left -= file.stat().st_size
            if left < 0 or len(files) == MOST_FILES:
                return {}
            files[file.relative_to(folder).as_posix()] = file.read_bytes()
    return files


def _frontmatter(main: bytes) -> dict[str, Any]:
    try:
        lines = main.decode().splitlines()
        end = lines.index("---", 1) if lines[:1] == ["---"] else 0
        read = yaml.safe_load("\n".join(lines[1:end]))
    except (ValueError, yaml.YAMLError):
        return {}
    return read if isinstance(read, dict) else {}


def _resource(skill: Skill, path: str, shown: Callable[[str], None]) -> TextResource | BinaryResource:
    content = skill.files[path]
    mime = "text/markdown" if path.endswith(".md") else mimetypes.guess_type(path)[0]
    told: dict[str, Any] = {"uri": skill.uri(path), "name": skill.name if path == MAIN else path}
    if path == MAIN:
        told["description"] = skill.frontmatter["description"]
    try:
        if path == MAIN:
            asked = partial(shown, skill.item)
            return _Counted(**told, text=content.decode(), mime_type=mime, asked=asked)
        return TextResource(**told, text=content.decode(), mime_type=mime or "text/plain")
    except UnicodeDecodeError:
        return BinaryResource(**told, data=content, mime_type=mime or "application/octet-stream")


def _complete(result: dict[str, Any]) -> dict[str, Any]:
    return {"resultType": "complete", **result, "ttlMs": FRESH_MS, "cacheScope": "private"}
