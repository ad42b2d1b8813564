"""The mutations that a Python file allows, such as Mutation(operator="boundary", old="<", new="<=", line=12, ...).

Only code inside functions is mutated, and only the bytes of the mutation change; all other text stays as it is.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterator

from lbi.records import Record

_COMPARISON: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", "<"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
_BOUNDARY: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
#: statements whose loss leaves the rest running
_DELETABLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Raise, ast.Delete, ast.Continue, ast.Break)


class Mutation(Record):
    """One small change of one file. ``start`` and ``end`` count bytes of UTF-8."""

    path: str
    operator: str
    start: int
    end: int
    old: str
    new: str
    line: int  # from 1
    function: str  # that it is in: Class.method


class _Source:
    """A source file, in which the positions of nodes become offsets of bytes."""

    def __init__(self, source: str, path: str) -> None:
        self.path = path
        self.content = source.encode()
        self.starts = [0]
        for line in self.content.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, start: int, end: int) -> str:
        return self.content[start:end].decode()

    def change(self, operator: str, start: int, end: int, new: str, function: str) -> Mutation:
        line = self.content.count(b"\n", 0, start) + 1
        old = self.text(start, end)
        return Mutation(
            path=self.path, operator=operator, start=start, end=end, old=old, new=new, line=line, function=function
        )

    def between(self, left: ast.expr, right: ast.expr, old: str) -> tuple[int, int] | None:
        """(start, end) of an operator between its operands; None if there is anything else, such as a comment."""
        start, end = self.end(left), self.start(right)
        gap = self.text(start, end)
        words = " ".join(gap.replace("(", " ").replace(")", " ").replace("\\", " ").split())
        if words != old:
            return None
        # "not in" may stand on two lines
        first, last = old.split()[0], old.split()[-1]
        at = gap.index(first)
        return start + len(gap[:at].encode()), start + len(gap[: gap.rindex(last) + len(last)].encode())


def mutations(source: str, path: str) -> list[Mutation]:
    """Every mutation of a file, in order. Raises SyntaxError or ValueError for a file that is no Python.

    Some may not compile; ``compiles`` checks that for the few that are tried.
    """
    tree = ast.parse(source)
    _check_lines(source)
    file = _Source(source, path)
    changes = [
        change for function, node in _inside(tree) for make in OPERATORS for change in make(file, node, function)
    ]
    return list(dict.fromkeys(changes))


def mutated(content: bytes, mutation: Mutation) -> bytes:
    """The file with the mutation in it. Raises ValueError if it is not the file that the mutation is of."""
    if content[mutation.start : mutation.end].decode("utf-8", "replace") != mutation.old:
        raise ValueError(f"{mutation.path} is not the file that the mutation was found in")
    return content[: mutation.start] + mutation.new.encode() + content[mutation.end :]


def _check_lines(source: str) -> None:
    """Raise ValueError for line ends, such as form feeds, at which the parser and we would count lines differently."""
    if "\r" in source or "\f" in source or "\v" in source:
        raise ValueError("line ends that positions cannot be counted by")
    list(tokenize.generate_tokens(io.StringIO(source).readline))


def compiles(content: bytes, change: Mutation) -> bool:
    """Whether the file is still Python with the mutation in it."""
    try:
        compile(mutated(content, change), change.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def _inside(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """(function, node) of all code in functions, without docstrings, annotations, decorators and parts of f-strings."""

    def visit(node: ast.AST, names: tuple[str, ...], inside: bool) -> Iterator[tuple[str, ast.AST]]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            deeper = inside or not isinstance(node, ast.ClassDef)
            for child in _without_docstring(node.body):
                yield from visit(child, (*names, node.name), deeper)
            return
        if inside:
            yield ".".join(names), node
        for part in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.AnnAssign) and part is node.annotation):
                yield from visit(part, names, inside)

    yield from visit(tree, (), False)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    described = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if described else body


# operators: (source, node, function) -> changes


def _swapped(
    source: _Source, name: str, left: ast.expr, right: ast.expr, pair: tuple[str, str] | None, function: str
) -> Iterator[Mutation]:
    if pair and (where := source.between(left, right, pair[0])):
        yield source.change(name, *where, pair[1], function)


def comparison(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        pair = _COMPARISON[type(node.ops[0])]
        yield from _swapped(source, "comparison", node.left, node.comparators[0], pair, function)


def boundary(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        pair = _BOUNDARY.get(type(node.ops[0]))
        yield from _swapped(source, "boundary", node.left, node.comparators[0], pair, function)


def arithmetic(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.BinOp):
        pair = _ARITHMETIC.get(type(node.op))
        yield from _swapped(source, "arithmetic", node.left, node.right, pair, function)


def boolean(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.BoolOp) and len(node.values) == 2:
        pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield from _swapped(source, "boolean", node.values[0], node.values[1], pair, function)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start = source.start(node)
        yield source.change("boolean", start, start + len("not"), "", function)


def condition(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.NamedExpr):
        start, end = source.start(node.test), source.end(node.test)
        yield source.change("condition", start, end, f"not ({source.text(start, end)})", function)


def constant(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if not isinstance(node, ast.Constant):
        return
    start, end = source.start(node), source.end(node)
    if isinstance(node.value, bool):
        yield source.change("constant", start, end, str(not node.value), function)
    elif isinstance(node.value, int):
        yield source.change("constant", start, end, str(node.value + 1), function)


def returned(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.Return) and node.value is not None:
        start, end = source.start(node.value), source.end(node.value)
        if source.text(start, end) != "None":
            yield source.change("return value", start, end, "None", function)


def deleted(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, _DELETABLE):
        yield source.change("deleted statement", source.start(node), source.end(node), "pass", function)


def argument(source: _Source, node: ast.AST, function: str) -> Iterator[Mutation]:
    """The first two arguments of a call change places."""
    if (
        isinstance(node, ast.Call)
        and len(node.args) >= 2
        and not any(isinstance(a, ast.Starred) for a in node.args[:2])
    ):
        first, second = node.args[:2]
        start, end = source.start(first), source.end(second)
        first_text = source.text(start, source.end(first))
        second_text = source.text(source.start(second), end)
        if first_text != second_text:
            gap = source.text(source.end(first), source.start(second))
            yield source.change("arguments", start, end, f"{second_text}{gap}{first_text}", function)


OPERATORS: tuple[Callable[[_Source, ast.AST, str], Iterator[Mutation]], ...] = (
    comparison,
    boundary,
    arithmetic,
    boolean,
    condition,
    constant,
    returned,
    deleted,
    argument,
)
