"""Python source -> sections, one for each class and function with its signature and docstring; of tests the names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from lbi.documents.sections import Block, DocumentPage, assemble, fenced

ENDINGS: tuple[str, ...] = (".py",)
CONTENT_TYPES: tuple[str, ...] = ("text/x-python",)

_Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def likelihood(text: str) -> float:
    marks = len(re.findall(r"^(?:def |class |import |from \w[\w.]* import )", text[:20_000], re.MULTILINE))
    return min(0.8, 0.2 * marks)


def read(text: str) -> DocumentPage:
    """Raises ValueError for what is not Python of this version."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"not Python that can be read here: {error.msg} (line {error.lineno})") from None
    described = ast.get_docstring(tree) or ""
    blocks = [Block(described)] if described else []
    tests = list(_tests(tree, ()))
    if tests:
        blocks.append(Block("Tests:\n" + "\n".join(f"- {name}" for name in tests)))
    blocks += [block for node in tree.body if isinstance(node, _Named) for block in _blocks(node, 2)]
    return DocumentPage(assemble(blocks))


def _blocks(node: _Named, level: int) -> Iterator[Block]:
    """Heading, signature and docstring, and of a class its methods. Private names are left out."""
    if node.name.startswith(("_", "test")) and node.name != "__init__":
        return
    described = ast.get_docstring(node) or ""
    inner = [member for member in node.body if isinstance(member, _Named)] if isinstance(node, ast.ClassDef) else []
    below = [block for member in inner for block in _blocks(member, level + 1)]
    if not described and not below and (isinstance(node, ast.ClassDef) or _only_tests(node)):
        return
    yield Block(f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {node.name}", level=min(level, 6))
    yield Block(fenced(_signature(node)))
    if described:
        yield Block(described)
    yield from below


def _only_tests(node: _Named) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def _signature(node: _Named) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in (*node.bases, *(word.value for word in node.keywords)))
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){returns}"


def _tests(tree: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
    """Names of tests, with those of the classes around them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _tests(node, (*names, node.name))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield ".".join((*names, node.name))
