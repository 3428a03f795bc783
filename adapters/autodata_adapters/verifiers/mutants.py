"""Small wrong programs made from a right one: stubs that cannot be right, and copies with one thing changed.

Whether a mutant behaves differently is found by running it, elsewhere; some are equal to what they were made from. Nothing
here runs code: the reference is parsed, changed and written out again.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autodata_core.records import canonical_json

__all__ = ["MUTANTS_MAX", "NEIGHBOURS_MAX", "constants_in", "mutants", "neighbours", "stubs"]

MUTANTS_MAX = 12
"""Mutants of one program; each costs a run."""
NEIGHBOURS_MAX = 120
"""Calls beside those of a check; they are made in one run."""
_CODE_MAX = 20_000
_CONSTANTS_MAX = 12
_CONSTANT_MAX = 10**18
_TEXT_MAX = 40
_ARGUMENTS_MAX = 4

_COMPARES: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_BOOLEAN = (ast.Compare, ast.BoolOp)

Change = Callable[[Any], None]
"""Changes one node of a copy of the tree in place."""


def stubs(function: str, constants: Sequence[str], arguments: int) -> tuple[str, ...]:
    """Return programs that no check may pass, whatever it asks for.

    Args:
        function: Name that the check calls.
        constants: Python source of values that the function gives for every input.
        arguments: How many arguments a call has; a stub gives back each of the first few.
    """
    head = f"def {function}(*args):\n    "
    given = tuple(f"{head}return args[{place}]\n" for place in range(min(arguments, _ARGUMENTS_MAX)))
    constant = tuple(f"{head}return {value}\n" for value in constants if value != "None")
    return (f"{head}return None\n", *constant, *given, f"{head}raise ValueError('not written')\n")


def mutants(code: str, limit: int = MUTANTS_MAX) -> tuple[str, ...]:
    """Return copies of a program with one operator, constant, result or branch changed; none when it cannot be parsed.

    The kinds of change take turns, so that a few mutants are of many kinds. The same code gives the same mutants.
    """
    if len(code) > _CODE_MAX:
        return ()
    try:
        tree = ast.parse(code)
        before = ast.unparse(tree)
        made: dict[str, None] = {}
        for place, change in _in_turns(tree):
            changed = copy.deepcopy(tree)
            change(_nodes(changed)[place])
            text = ast.unparse(ast.fix_missing_locations(changed))
            if text != before:
                made.setdefault(text)
            if len(made) >= limit:
                break
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # no program, or one that is nested too deeply
        return ()
    return tuple(made)


def constants_in(code: str) -> tuple[int | str, ...]:
    """Return the whole numbers and texts that a program mentions, each once: where its behaviour may change."""
    found: dict[int | str, None] = {}
    try:
        for node in ast.walk(ast.parse(code[:_CODE_MAX])):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _CONSTANT_MAX:
                found |= {value: None, -value: None}
            elif isinstance(value, str) and len(value) <= _TEXT_MAX:
                found[value] = None
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ()
    return tuple(found)[:_CONSTANTS_MAX]


def neighbours(
    calls: Sequence[Sequence[Any]], constants: Sequence[int | str] = (), limit: int = NEIGHBOURS_MAX
) -> tuple[tuple[Any, ...], ...]:
    """Return calls beside the given ones, with one argument moved a little, or onto a constant and either side of it.

    None of the given calls is among them, and none comes twice.
    """
    seen = {canonical_json(list(call)) for call in calls}
    found: list[tuple[Any, ...]] = []
    moved = [_moved_calls(call, constants) for call in calls]
    while moved and len(found) < limit:  # the calls take turns
        for calls_beside in list(moved):
            beside = next(calls_beside, None)
            if beside is None:
                moved.remove(calls_beside)
            elif canonical_json(list(beside)) not in seen:
                seen.add(canonical_json(list(beside)))
                found.append(beside)
    return tuple(found[:limit])


# --- changes to a program ---------------------------------------------------------------------------------------------


def _nodes(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes in one fixed order, so that a place in it names the same node in a copy."""
    return list(ast.walk(tree))


def _in_turns(tree: ast.AST) -> Iterator[tuple[int, Change]]:
    """Yield where to change what, kind after kind and round after round."""
    kinds: dict[str, list[tuple[int, Change]]] = {}
    skipped = {id(part) for node in ast.walk(tree) for part in _without_effect(node)}
    for place, node in enumerate(_nodes(tree)):
        if id(node) not in skipped:
            for kind, change in _changes(node):
                kinds.setdefault(kind, []).append((place, change))
    queues = [kinds[kind] for kind in sorted(kinds)]
    for turn in range(max(map(len, queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def _without_effect(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a change of would change nothing: docstrings and annotations."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield node.value
    for name in ("annotation", "returns"):
        part = getattr(node, name, None)
        if isinstance(part, ast.AST):
            yield from ast.walk(part)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare):
        for other in _COMPARES.get(type(node.ops[0]), ()):
            yield "compare", _set("ops", [other(), *node.ops[1:]])
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
        yield "operator", _set("op", _OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield "operator", _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "operator", _set("op", ast.UAdd())
    elif isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            yield "constant", _set("value", value)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "result", _set("value", _negated(node.value))
    elif isinstance(node, ast.If | ast.IfExp):
        yield "branch", _set("test", ast.Constant(False))
        yield "branch", _set("test", ast.Constant(True))
    elif isinstance(node, ast.While):  # one that always runs never ends
        yield "branch", _set("test", ast.Constant(False))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "branch", _set("ifs", [])


def _other_constants(value: object) -> tuple[object, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int | float):
        return (value + 1, value - 1)
    return (value + "?",) if isinstance(value, str) else ()


def _set(name: str, value: Any) -> Change:
    return lambda node: setattr(node, name, copy.deepcopy(value))


def _negated(value: ast.expr) -> ast.expr:
    boolean = isinstance(value, _BOOLEAN) or (isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not))
    if boolean or (isinstance(value, ast.Constant) and isinstance(value.value, bool)):
        return ast.UnaryOp(ast.Not(), value)
    return ast.UnaryOp(ast.USub(), value)


# --- calls beside given ones ------------------------------------------------------------------------------------------


def _moved_calls(call: Sequence[Any], constants: Sequence[int | str]) -> Iterator[tuple[Any, ...]]:
    for place, argument in enumerate(call):
        for other in _moved(argument, constants):
            yield (*call[:place], other, *call[place + 1 :])


def _moved(value: Any, constants: Sequence[int | str]) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1)
        yield from (number + step for number in constants if isinstance(number, int) for step in (0, 1, -1))
        yield from (-value, 0)
    elif isinstance(value, float):
        yield from (value + 0.5, -value, 0.0)
        yield from (number + step for number in constants if isinstance(number, int) for step in (0.0, 0.5, -0.5))
    elif isinstance(value, str):
        yield from (value + value[-1:], value[:-1], value.swapcase(), "")
        yield from (
            text for constant in constants if isinstance(constant, str) for text in (constant, value + constant)
        )
    elif isinstance(value, list):
        yield from (value[::-1], value[:-1], value + value[:1])
        for place, part in enumerate(value[:_ARGUMENTS_MAX]):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in _moved(part, constants))
        yield []
    elif isinstance(value, dict) and value:
        first = next(iter(value))
        yield {key: part for key, part in value.items() if key != first}
        yield from ({**value, first: other} for other in _moved(value[first], constants))
