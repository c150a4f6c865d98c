"""Mutants of a module: one-place changes of meaning, made from its syntax tree or given as old and new text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}  # fmt: skip
SIGNS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
}  # fmt: skip
UNTOUCHED = {"log", "logging", "words", "warnings"}
"""Calls on these change no behaviour that a fast test should hold."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`text` is the whole changed module; `source` the changed line as it was, without outer blanks."""

    module: str
    line: int
    source: str
    change: str
    text: str
    equivalent: str = ""
    """Why no test can notice it; empty where one should."""


class _Source:
    """A module's text with edits by position in its syntax tree (columns there count bytes)."""

    def __init__(self, text: str) -> None:
        self.data = text.encode()
        self.starts = [0]
        for line in self.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def at(self, line: int, column: int) -> int:
        return self.starts[line - 1] + column

    def of(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode()

    def edited(self, start: int, end: int, new: str) -> str:
        return (self.data[:start] + new.encode() + self.data[end:]).decode()


def made(module: str, text: str) -> list[Mutant]:
    """Every mutant that the syntax tree of a module offers, in the order of its lines; each can be compiled."""
    source, lines, found = _Source(text), text.splitlines(), []
    for node in _nodes(ast.parse(text)):
        for start, end, new in _edits(node, source):
            number = source.data[:start].count(b"\n") + 1
            old = " ".join(source.data[start:end].decode().split())
            changed = source.edited(start, end, new)
            try:
                compile(changed, module, "exec")
            except SyntaxError:
                continue
            found.append(
                Mutant(module, number, lines[number - 1].strip(), f"{old} -> {' '.join(new.split())}", changed)
            )
    return sorted(found, key=lambda mutant: mutant.line)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """What may be changed: no docstrings, annotations, decorators, imports, asserts, and no words of errors or logs."""
    function = isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_params") or (name == "args" and function):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(
                child, ast.Import | ast.ImportFrom | ast.Assert | ast.Raise
            ):
                continue
            call = child.value if isinstance(child, ast.Expr) else child
            if isinstance(call, ast.Constant | ast.JoinedStr) and isinstance(child, ast.Expr):
                continue
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[0] in UNTOUCHED:
                continue
            yield child
            yield from _nodes(child)


def _edits(node: ast.AST, source: _Source) -> Iterator[tuple[int, int, str]]:  # noqa: C901 - one case a kind of node
    """(start, end, new text) of each change that a node offers."""

    def between(left: ast.AST, right: ast.AST, old: str, new: str) -> tuple[int, int, str]:
        start, end = source.span(left)[1], source.span(right)[0]
        return start, end, re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, source.data[start:end].decode(), count=1)

    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            yield between(left, right, *COMPARISONS[type(op)])
        case ast.BoolOp(op=op, values=values):
            words = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
            for left, right in pairwise(values):
                yield between(left, right, *words)
            for value in values:
                yield *source.span(value), "True" if isinstance(op, ast.And) else "False"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SIGNS:
            yield between(left, right, *SIGNS[type(op)])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield *source.span(node), source.of(operand)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield *source.span(test), f"(not ({source.of(test)}))"
        case ast.Constant(value=bool(value)):
            yield *source.span(node), str(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield *source.span(node), f"({value!r} + 1)"
        case ast.Call(func=ast.Name(id="min" | "max"), args=[one, two], keywords=[]):
            yield *source.span(node), f"({source.of(one)})"
            yield *source.span(node), f"({source.of(two)})"
        case ast.Call(func=ast.Name(id="sorted"), args=[one], keywords=_):
            yield *source.span(node), f"list({source.of(one)})"
        case ast.Return(value=ast.expr() as value) if source.of(value) != "None":
            yield *source.span(value), "None"
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Continue() | ast.Break():
            yield *source.span(node), "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield *source.span(node), "pass"


def written(module: str, text: str, entry: dict[str, str]) -> Mutant | str:
    """A mutant given as `old` and `new` text (blanks, line breaks and trailing commas do not count in `old`), inside the
    function or class `within` where that is given; or why it cannot be made."""
    start, end = 0, len(text)
    if "within" in entry:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        found = [n for n in ast.walk(ast.parse(text)) if isinstance(n, kinds) and n.name == entry["within"]]
        if len(found) != 1:
            return f"{len(found)} functions or classes are called {entry['within']}"
        lines = text.splitlines(keepends=True)
        start, end = (sum(map(len, lines[:n])) for n in (found[0].lineno - 1, found[0].end_lineno))  # type: ignore[arg-type]
    places = [m.span() for m in _loosely(entry["old"]).finditer(text, start, end)]
    if len(places) != 1:
        return f"found {len(places)} times: {entry['old']}"
    first, last = places[0]
    changed = text[:first] + entry["new"] + text[last:]
    number = text[:first].count("\n") + 1
    try:
        compile(changed, module, "exec")
    except SyntaxError as error:
        return f"does not compile ({error}): {entry['old']}"
    change = f"{entry['old']} -> {entry['new']}"
    source = text.splitlines()[number - 1].strip()
    return Mutant(module, number, source, " ".join(change.split()), changed, entry.get("equivalent", ""))


def _loosely(old: str) -> re.Pattern[str]:
    """The text however it is wrapped: any blanks between its words and signs, a comma before what closes a bracket."""
    pattern, before = "", ""
    for token in re.findall(r"\w+|[^\w\s]", old):
        both_words = before[-1:].isidentifier() and token[:1].isidentifier()
        gap = r"\s+" if both_words else r",?\s*" if token in ")]}" and before != "," else r"\s*"
        pattern += (gap if pattern else r"(?<!\w)" if token[:1].isidentifier() else "") + re.escape(token)
        before = token
    return re.compile(pattern + (r"(?!\w)" if before[-1:].isidentifier() else ""))
