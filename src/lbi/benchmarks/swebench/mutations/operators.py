"""Python source -> the mutations that it allows: Mutation(operator="boundary", old="<", new="<=", line=12, ...).

Only code inside functions is mutated, and only the bytes of the mutation change, so the rest reads as it did.
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


class _Place:
    """A source file and its bytes, in which a node's position becomes an offset."""

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
        """Where an operator stands between its operands, if it is there once and no comment is."""
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
    """Every mutation of a file, in order. Raises SyntaxError or ValueError for what is no Python.

    Whether the file still compiles is left to ``compiles``, as few of them are ever tried.
    """
    tree = ast.parse(source)
    _check_lines(source)
    place = _Place(source, path)
    found = [change for function, node in _inside(tree) for make in OPERATORS for change in make(place, node, function)]
    return list(dict.fromkeys(found))


def mutated(content: bytes, mutation: Mutation) -> bytes:
    """The file with the mutation in it. Raises ValueError if it is not the file that the mutation is of."""
    if content[mutation.start : mutation.end].decode("utf-8", "replace") != mutation.old:
        raise ValueError(f"{mutation.path} is not the file that the mutation was found in")
    return content[: mutation.start] + mutation.new.encode() + content[mutation.end :]


def _check_lines(source: str) -> None:
    """Positions count lines as the tokenizer does; a form feed or an odd line end would move them."""
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
    """(function, node) of all that runs in functions; no docstrings, annotations, decorators or parts of f-strings."""

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


# operators: (place, node, function) -> changes


def _swapped(
    place: _Place, name: str, left: ast.expr, right: ast.expr, pair: tuple[str, str] | None, function: str
) -> Iterator[Mutation]:
    if pair and (where := place.between(left, right, pair[0])):
        yield place.change(name, *where, pair[1], function)


def comparison(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        pair = _COMPARISON[type(node.ops[0])]
        yield from _swapped(place, "comparison", node.left, node.comparators[0], pair, function)


def boundary(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        pair = _BOUNDARY.get(type(node.ops[0]))
        yield from _swapped(place, "boundary", node.left, node.comparators[0], pair, function)


def arithmetic(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.BinOp):
        pair = _ARITHMETIC.get(type(node.op))
        yield from _swapped(place, "arithmetic", node.left, node.right, pair, function)


def boolean(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.BoolOp) and len(node.values) == 2:
        pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield from _swapped(place, "boolean", node.values[0], node.values[1], pair, function)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start = place.start(node)
        yield place.change("boolean", start, start + len("not"), "", function)


def condition(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.NamedExpr):
        start, end = place.start(node.test), place.end(node.test)
        yield place.change("condition", start, end, f"not ({place.text(start, end)})", function)


def constant(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if not isinstance(node, ast.Constant):
        return
    start, end = place.start(node), place.end(node)
    if isinstance(node.value, bool):
        yield place.change("constant", start, end, str(not node.value), function)
    elif isinstance(node.value, int):
        yield place.change("constant", start, end, str(node.value + 1), function)


def returned(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, ast.Return) and node.value is not None:
        start, end = place.start(node.value), place.end(node.value)
        if place.text(start, end) != "None":
            yield place.change("return value", start, end, "None", function)


def deleted(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    if isinstance(node, _DELETABLE):
        yield place.change("deleted statement", place.start(node), place.end(node), "pass", function)


def argument(place: _Place, node: ast.AST, function: str) -> Iterator[Mutation]:
    """The first two arguments of a call change places."""
    if (
        isinstance(node, ast.Call)
        and len(node.args) >= 2
        and not any(isinstance(a, ast.Starred) for a in node.args[:2])
    ):
        one, other = node.args[:2]
        start, end = place.start(one), place.end(other)
        first, second = place.text(start, place.end(one)), place.text(place.start(other), end)
        if first != second:
            gap = place.text(place.end(one), place.start(other))
            yield place.change("arguments", start, end, f"{second}{gap}{first}", function)


OPERATORS: tuple[Callable[[_Place, ast.AST, str], Iterator[Mutation]], ...] = (
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
