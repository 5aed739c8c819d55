"""Small wrong changes of a Python file, one at a time: what a slip of the keyboard or of the mind would make of it.

The kinds: a comparison, an arithmetic or a logical operator becomes its neighbour; a condition is negated; a check that only
raises is dropped; a number or a truth value changes; a sign is lost; a call or a keyword argument is left out; `min` and the
like become their opposites. Messages, annotations and docstrings are left alone.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_OPPOSITES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "sin": "cos", "cos": "sin",
    "amin": "amax", "amax": "amin", "argmin": "argmax", "argmax": "argmin", "minimum": "maximum", "maximum": "minimum",
    "zeros": "ones", "ones": "zeros", "zeros_like": "ones_like", "ones_like": "zeros_like",
}  # fmt: skip
_TEXT = (
    ast.JoinedStr,
    ast.List,
    ast.Tuple,
    ast.ListComp,
)  # a sum of these cannot become a difference: nobody would miss the error


@dataclass(frozen=True)
class Mutant:
    """One wrong change: where (1-based line, the lines of its statement), of which kind, and the source before and after."""

    file: str
    line: int
    column: int
    kind: str
    before: str
    after: str
    lines: tuple[int, int]  # first and last line of the statement, or of the head of a compound one
    at_import: bool  # runs when the module is loaded, so that no single test stands for it
    span: tuple[int, int]  # bytes of the file that `after` replaces

    @property
    def rank(self) -> str:
        """What orders a random sample together with a seed; edits elsewhere in the file leave it as it is."""
        return f"{self.file}|{self.kind}|{self.before}|{self.after}"

    def key(self, source: bytes) -> str:
        """Name of this change of this very file."""
        return hashlib.sha256(source + repr(sorted(asdict(self).items())).encode()).hexdigest()[:20]

    def compiles(self, source: bytes) -> bool:
        """Whether the file with the change in it is still Python."""
        try:
            compile(self.applied(source), self.file, "exec", dont_inherit=True)
        except SyntaxError:
            return False
        return True

    def applied(self, source: bytes) -> bytes:
        """The file with the change in it."""
        return source[: self.span[0]] + self.after.encode() + source[self.span[1] :]


def mutants(source: bytes, file: str) -> list[Mutant]:
    """All mutants of a file, in the order of the source; some few do not compile."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    made = []
    for change in _Walk().changes(tree):
        node = change.node
        span = (starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset)
        before = source[span[0] : span[1]].decode()
        mutant = Mutant(
            file, node.lineno, node.col_offset, change.kind, before, change.after, change.lines, change.at_import, span
        )
        made.append(mutant)
    return sorted(made, key=lambda m: (m.span, m.kind, m.after))


@dataclass(frozen=True)
class _Change:
    node: ast.expr | ast.stmt
    kind: str
    after: str
    lines: tuple[int, int]
    at_import: bool


class _Walk:
    def changes(self, tree: ast.Module) -> Iterator[_Change]:
        for statement in tree.body:
            yield from self._statement(statement, at_import=True)

    def _statement(self, node: ast.stmt, *, at_import: bool) -> Iterator[_Change]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.lineno, node.body[0].lineno)
            for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
                yield from self._expression(default, lines, True)
            for inner in node.body:
                yield from self._statement(inner, at_import=False)
            return
        if isinstance(node, ast.If) and _only_for_types(node.test):
            return
        lines = (node.lineno, _last_line_of_head(node))
        yield from self._whole(node, lines, at_import)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "type_comment", "decorator_list", "bases"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.stmt):
                    yield from self._statement(child, at_import=at_import)
                elif isinstance(child, ast.expr):
                    if not isinstance(node, ast.Raise | ast.Assert) and not _is_docstring(node):
                        yield from self._expression(child, lines, at_import)
                elif isinstance(child, ast.excepthandler | ast.match_case):
                    for inner in child.body:
                        yield from self._statement(inner, at_import=at_import)
                elif isinstance(child, ast.withitem):
                    yield from self._expression(child.context_expr, lines, at_import)

    def _whole(self, node: ast.stmt, lines: tuple[int, int], at_import: bool) -> Iterator[_Change]:
        match node:
            case ast.If(test=test, body=[ast.Raise()], orelse=[]):
                yield _Change(test, "check dropped", "False", lines, at_import)
            case ast.If(test=test):
                yield _Change(test, "condition negated", f"not ({ast.unparse(test)})", lines, at_import)
            case ast.Expr(value=ast.Call()):
                yield _Change(node, "call dropped", "pass", lines, at_import)
            case ast.AugAssign(target=target, op=op, value=value) if type(op) in _ARITHMETIC:
                swapped = ast.AugAssign(target, _ARITHMETIC[type(op)](), value)
                yield _Change(node, "arithmetic", ast.unparse(swapped), lines, at_import)

    def _expression(self, node: ast.expr, lines: tuple[int, int], at_import: bool) -> Iterator[_Change]:
        if isinstance(node, ast.JoinedStr):
            return
        for kind, changed in _changed(node):
            yield _Change(node, kind, changed, lines, at_import)
        inner_at_import = at_import and not isinstance(node, ast.Lambda)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from self._expression(child, lines, inner_at_import)
            elif isinstance(child, ast.keyword):
                yield from self._expression(child.value, lines, at_import)
            elif isinstance(child, ast.comprehension):
                for part in (child.iter, *child.ifs):
                    yield from self._expression(part, lines, at_import)


def _changed(node: ast.expr) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            for n in range(len(ops)):
                swapped = [_COMPARISONS[type(o)]() if i == n else o for i, o in enumerate(ops)]
                yield "comparison", f"({ast.unparse(ast.Compare(left, swapped, others))})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC and not (_is_text(left) or _is_text(right)):
            yield "arithmetic", f"({ast.unparse(ast.BinOp(left, _ARITHMETIC[type(op)](), right))})"
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "logic", f"({ast.unparse(ast.BoolOp(other, values))})"
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "sign or not dropped", f"({ast.unparse(operand)})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "condition negated", f"({ast.unparse(ast.IfExp(test, orelse, body))})"
        case ast.Constant(value=bool() as value):
            yield "truth value", repr(not value)
        case ast.Constant(value=int() as value):
            yield "number", repr(value + 1)
        case ast.Constant(value=float() as value):
            yield "number", repr(2 * value if value else 1.0)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _OPPOSITES:
            yield "opposite", ast.unparse(_renamed(node, _OPPOSITES[name]))
    if isinstance(node, ast.Call):
        for n, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                rest = [k for i, k in enumerate(node.keywords) if i != n]
                yield "keyword dropped", ast.unparse(ast.Call(node.func, node.args, rest))


def _renamed(call: ast.Call, name: str) -> ast.Call:
    func = ast.Name(name) if isinstance(call.func, ast.Name) else ast.Attribute(call.func.value, name)  # type: ignore[attr-defined]
    return ast.Call(func, call.args, call.keywords)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, _TEXT) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _only_for_types(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _last_line_of_head(node: ast.stmt) -> int:
    body = getattr(node, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        return max(node.lineno, body[0].lineno - 1)
    if isinstance(node, ast.Match):
        return node.subject.end_lineno or node.lineno
    return node.end_lineno or node.lineno
