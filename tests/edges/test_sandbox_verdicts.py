"""Which values come out: those of honest code with their types, and never a pass for code that cheats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_adapters.sandbox import (
    Job,
    Limits,
    Outcome,
    Sandbox,
    TagError,
    available_tiers,
    create_sandbox,
    tagged,
    untagged,
)

CALLS = ((2, 3), (10, 20), (7, -1))
EXPECTED = (7, 201, -6)  # stays here, as in every verifier
HONEST = "def solve(a, b):\n    return a * b + 1\n"

FRAMES = """
import sys, gc, os, json
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
def known(name):
    for frame in frames():
        if name in frame.f_locals:
            return frame.f_locals[name]
"""

CHEATS = {
    "exit_at_import": "import os\nos._exit(0)\n",
    "exit_in_call": "import os\ndef solve(a, b):\n    print('PASS')\n    os._exit(0)\n",
    "system_exit": "import sys\ndef solve(a, b):\n    sys.exit(0)\n",
    "system_exit_at_import": "raise SystemExit(0)\n",
    "print_pass": "def solve(a, b):\n    print('PASS')\n    print('{\"kind\":\"returned\",\"values\":[7,201,-6]}')\n",
    "write_pass_everywhere": "import os\nfor n in range(64):\n    try: os.write(n, b'PASS 7 201 -6')\n"
        "    except OSError: pass\n"
    "os._exit(0)\n",
    "equal_to_all": "class E:\n    def __eq__(self, o): return True\n    def __hash__(self): return 7\n"
        "def solve(a, b):\n    return E()\n",
    "int_equal_to_all": "class E(int):\n    def __eq__(self, o): return True\ndef solve(a, b):\n    return E(1)\n",
    "claims_its_class": "class E:\n    __class__ = int\n    def __eq__(self, o): return True\ndef solve(a, b):\n"
        "    return E()\n",
    "metaclass": "class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return hash(int)\n"
        "    __name__ = 'int'\n"
    "class E(metaclass=M): pass\ndef solve(a, b):\n    return E()\n",
    "float_for_int": "def solve(a, b):\n    return float(a * b + 1)\n",
    "text_for_int": "def solve(a, b):\n    return str(a * b + 1)\n",
    "frame_peek": FRAMES + "def solve(a, b):\n    for frame in frames():\n        for name, value in frame.f_locals.items():\n"
    "            if 'expect' in name: return value\n    return 7\n",
    "heap_hunt": "import gc\ndef solve(a, b):\n    for held in gc.get_objects():\n"
    "        if type(held) in (list, tuple) and len(held) == 3 and all(type(v) is int for v in held) and 201 in held:\n"
    "            return held[0]\n    return 7\n",
    "at_exit": "import atexit, os\natexit.register(lambda: os._exit(0))\ndef solve(a, b):\n    return 7\n",
    "exception_hook": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\ndef solve(a, b):\n    raise ValueError\n",
    "forged_frame": FRAMES + "def solve(a, b):\n    job, channel = known('job'), known('channel')\n"
    "    text = json.dumps({'kind': 'returned', 'values': [['int', '7']] * 3}, separators=(',', ':')).encode()\n"
    "    os.write(channel, b'record %s %d\\n%s\\n' % (job['nonce'].encode(), len(text), text))\n    os._exit(0)\n",
    "two_records": FRAMES + "def solve(a, b):\n    known('send')({'kind': 'returned', 'values': [['int', '7']] * 3})\n"
        "    return 7\n",
    "late_thread": FRAMES + "import threading, time\ndef late(send):\n    while True:\n"
    "        send({'kind': 'returned', 'values': []})\n"
    "def solve(a, b):\n    threading.Thread(target=late, args=(known('send'),), daemon=True).start()\n"
        "    time.sleep(0.01)\n    return 7\n",
    "patched_tagging": "import sys\nfor name, module in list(sys.modules.items()):\n    for key in ('tagged', '_tagged'):\n"
    "        if hasattr(module, key): setattr(module, key, lambda *a: ['any', 'thing'])\ndef solve(a, b):\n    return 7\n",
    "patched_json": "import json\n"
        "json.dumps = json.JSONEncoder.encode = json.encoder.c_make_encoder = lambda *a, **k: '{\"kind\":\"PASS\"}'\n"
    "def solve(a, b):\n    return 7\n",
    "patched_builtins": "import builtins\nbuiltins.type = lambda v: int\nbuiltins.str = lambda *a: '7'\n"
        "builtins.isinstance = lambda *a: True\n"
    "def solve(a, b):\n    return object()\n",
    "other_form": FRAMES + "def solve(a, b):\n    send = known('send')\n"
    "    send({'kind': 'returned', 'values': [['int', '07'], ['int', '2_01'], ['int', ' -6']]})\n    os._exit(0)\n",
    "too_few_values": FRAMES + "def solve(a, b):\n    known('send')({'kind': 'returned', 'values': []})\n    os._exit(0)\n",
    "unknown_kind": FRAMES + "def solve(a, b):\n    known('send')({'kind': 'passed', 'values': [], 'verdict': True})\n"
        "    os._exit(0)\n",
    "wrong_nonce": "import os\nfor n in range(3, 4096):\n    try: os.write(n, b'record 0 2\\n{}\\n')\n"
        "    except OSError: pass\nos._exit(0)\n",
    "trace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef solve(a, b):\n    return 7\n",
    "low_recursion": "import sys\ndef solve(a, b):\n    sys.setrecursionlimit(len(__import__('inspect').stack()) + 8)\n"
        "    return 7\n",
    "module_instead": "import sys, types\nsys.modules['solution'] = types.SimpleNamespace(solve=lambda a, b: a * b + 1)\n"
    "def solve(a, b):\n    return 0\n",
}  # fmt: skip


def passes(outcome: Outcome) -> bool:
    """Compare as a verifier does: on the host, value and type."""
    return outcome.kind == "returned" and outcome.values == tuple(tagged(value) for value in EXPECTED)


def usable(name: Any) -> Sandbox:
    status = next(each for each in available_tiers() if each.name == name)
    if not status.ok:
        pytest.skip(f"the tier {name} is off here: {status.detail}")
    return create_sandbox(name)


@pytest.fixture(scope="module", params=["monty", "confined"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    made = usable(request.param)
    yield made
    made.close()


def run(sandbox: Sandbox, code: str, *calls: tuple[Any, ...]) -> Outcome:
    limits = Limits(wall_s=10, cpu_s=3, output_bytes=100_000)
    return sandbox.run(Job(code=code, function="solve", calls=calls or ((),), limits=limits))


def test_honest_code_passes(sandbox: Sandbox) -> None:
    assert passes(run(sandbox, HONEST, *CALLS))


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name: str, sandbox: Sandbox) -> None:
    outcome = run(sandbox, CHEATS[name], *CALLS)
    assert not passes(outcome), outcome


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("exit_in_call", "crashed"),
        ("two_records", "forged"),
        ("other_form", "forged"),
        ("wrong_nonce", "forged"),
        ("unknown_kind", "forged"),
        ("too_few_values", "forged"),
        ("system_exit", "raised"),
        ("equal_to_all", "raised"),
        ("forged_frame", "returned"),  # as if it had returned constants, which it also may
    ],
)
def test_a_cheat_is_called_what_it_is(name: str, kind: str) -> None:
    confined = usable("confined")
    try:
        assert run(confined, CHEATS[name], *CALLS).kind == kind
    finally:
        confined.close()


BENIGN: list[tuple[str, Any]] = [
    ("return sum(range(10))", 45),
    ("return [n for n in range(30) if all(n % d for d in range(2, n)) and n > 1]", [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]),
    ("return {w: w.count('a') for w in 'banana ant'.split()}", {"banana": 3, "ant": 1}),
    ("return tuple(sorted({3, 1, 2}))", (1, 2, 3)),
    ("return {1, 2} | {3}", {1, 2, 3}),
    ("return 'straße'.upper(), 'x'.zfill(3)", ("STRASSE", "00x")),
    ("return f'{3.14159:.2f}', f'{1234567:,}'", ("3.14", "1,234,567")),
    ("return 2 ** 100, -7 // 2, -7 % 3", (2**100, -4, 2)),
    ("return float('inf'), 0.1 + 0.2", (math.inf, 0.1 + 0.2)),
    ("import math\nreturn math.gcd(12, 18), math.isqrt(17), math.factorial(20)", (6, 4, math.factorial(20))),
    ("import re\nreturn re.findall(r'\\d+', 'a1b22c333')", ["1", "22", "333"]),
    ("import json\nreturn json.loads(json.dumps({'a': [1, None, True]}))", {"a": [1, None, True]}),
    ("from collections import Counter\nreturn dict(Counter('abca'))", {"a": 2, "b": 1, "c": 1}),
    ("from collections import deque\nd = deque([1, 2])\nd.appendleft(0)\nreturn list(d)", [0, 1, 2]),
    ("import itertools\nreturn list(itertools.permutations([1, 2]))", [(1, 2), (2, 1)]),
    ("import heapq\nreturn heapq.nsmallest(2, [5, 1, 3])", [1, 3]),
    ("from functools import lru_cache\n@lru_cache(None)\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nreturn f(50)",
     12586269025),
    ("from fractions import Fraction\nreturn str(Fraction(1, 3) + Fraction(1, 6))", "1/2"),
    ("from decimal import Decimal\nreturn str(Decimal('0.1') + Decimal('0.2'))", "0.3"),
    ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nreturn P(3).x", 3),
    ("class A:\n    def f(self): return 1\nclass B(A):\n    def f(self): return super().f() + 1\nreturn B().f()", 2),
    ("def g():\n    yield 1\n    yield 2\nreturn list(g())", [1, 2]),
    ("from enum import Enum\nclass C(Enum):\n    RED = 1\nreturn C.RED.name", "RED"),
    ("import datetime\nreturn (datetime.date(2024, 3, 1) - datetime.date(2024, 2, 1)).days", 29),
    ("try:\n    return 1 // 0\nexcept ZeroDivisionError as error:\n    return type(error).__name__", "ZeroDivisionError"),
    ("import random\nrandom.seed(7)\nreturn random.randint(0, 10 ** 6)", 339563),
    ("import sqlite3\nreturn sqlite3.connect(':memory:').execute('select 1 + 1').fetchone()", (2,)),
    ("import hashlib\nreturn hashlib.sha256(b'').hexdigest()[:8]", "e3b0c442"),
    ("import threading\nout = []\nt = threading.Thread(target=out.append, args=(5,))\nt.start()\nt.join()\nreturn out", [5]),
    ("import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 4\nreturn asyncio.run(f())", 4),
    ("import io, csv\nreturn list(csv.reader(io.StringIO('a,b\\n1,2')))", [["a", "b"], ["1", "2"]]),
    ("x = (n * n for n in range(3))\nreturn [list(x), list(x)]", [[0, 1, 4], []]),
    ("print('hello')\nreturn None", None),
    ("import statistics, bisect, string, textwrap, uuid, zlib, base64, struct, copy, operator\nreturn zlib.crc32(b'a')",
     3904355907),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), BENIGN)
def test_everyday_code_gives_its_value(body: str, expected: Any, sandbox: Sandbox) -> None:
    code = "def solve():\n" + "".join(f"    {line}\n" for line in body.splitlines())
    outcome = run(sandbox, code)
    if sandbox.tier.startswith("monty") and outcome.kind == "unsupported":
        return  # the next tier runs it
    assert outcome.kind == "returned", outcome
    assert outcome.values == (tagged(expected),)


def test_monty_runs_much_of_it() -> None:
    monty = usable("monty")
    codes = ["def solve():\n" + "".join(f"    {line}\n" for line in body.splitlines()) for body, _ in BENIGN]
    ran = sum(run(monty, code).kind == "returned" for code in codes)
    monty.close()
    assert ran >= 15


def test_the_same_job_gives_the_same_values(sandbox: Sandbox) -> None:
    code = (
        "import random\ndef solve():\n    return random.random(), list({'a', 'b', 'c', 'd', 'e', 'f'})\n"
        if sandbox.tier.startswith("monty")
        else "import random\ndef solve():\n    return random.random(), list({'a', 'b', 'c', 'd', 'e', 'f'}), hash('a')\n"
    )
    first, second = run(sandbox, code), run(sandbox, code)
    assert first.kind == "returned"
    assert first.values == second.values


def test_arguments_and_mutated_results_are_kept_apart(sandbox: Sandbox) -> None:
    code = "held = []\ndef solve(a):\n    a.append(0)\n    held.append(len(a))\n    return held\n"
    outcome = run(sandbox, code, ([1],), ([1],))
    if sandbox.tier.startswith("monty"):
        assert [untagged(value)[0] for value in outcome.values] == [2, 2]
    else:
        assert [untagged(value) for value in outcome.values] == [[2], [2, 2]]


def test_a_missing_package_is_no_fault_of_the_code(sandbox: Sandbox) -> None:
    assert run(sandbox, "import numpy\ndef solve(): return 1\n").kind == "unsupported"


def test_a_missing_function_and_a_syntax_error_are() -> None:
    confined = usable("confined")
    try:
        assert run(confined, "def other(): return 1\n").detail == "NameError: the code defines no 'solve'"
        broken = run(confined, "def solve(:\n")
        assert (broken.kind, "line 1" in broken.detail) == ("raised", True)
    finally:
        confined.close()


def test_text_that_is_not_unicode_survives() -> None:
    confined = usable("confined")
    try:
        outcome = run(confined, "def solve(a): return a + '\\ud800', '\\ud83d' == '😀'\n", ("\udfff",))
        assert untagged(outcome.values[0]) == ("\udfff\ud800", False)
        outcome.to_json()
    finally:
        confined.close()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers()
)
KEYS = SCALARS | st.tuples(SCALARS, SCALARS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_tags_keep_value_and_type(value: Any) -> None:
    assert repr_of(untagged(tagged(value))) == repr_of(value)


def repr_of(value: Any) -> Any:
    """Return something that differs wherever values or types do, and knows no order of sets and dicts."""
    if type(value) in (list, tuple):
        return (type(value).__name__, [repr_of(part) for part in value])
    if type(value) in (set, frozenset):
        return (type(value).__name__, sorted(repr(repr_of(part)) for part in value))
    if type(value) is dict:
        return ("dict", sorted((repr(repr_of(k)), repr(repr_of(v))) for k, v in value.items()))
    return (type(value).__name__, repr(value))


def test_equal_dicts_have_equal_tags_and_unequal_types_do_not() -> None:
    assert tagged({"a": 1, "b": 2}) == tagged({"b": 2, "a": 1})
    assert len({str(tagged(value)) for value in (1, 1.0, True, "1", (1,), [1], {1}, b"1")}) == 8
    assert untagged(tagged(10**6000)) == 10**6000


@pytest.mark.parametrize(
    "tag",
    [
        1, 1.5, [], ["int"], ["int", 7], ["int", "07"], ["int", "1_0"], ["int", "0x10"], ["float", "1"], ["float", "NaN"],
        ["list", "ab"], ["list", [], []], ["set", [["int", "2"], ["int", "1"]]], ["set", [["int", "1"], ["int", "1"]]],
        ["set", [["list", []]]], ["dict", [["a"]]], ["dict", [["a", None], ["a", True]]], ["dict", [[["list", []], None]]],
        ["object", "x"], ["text16", "6100"], ["text16", "0"], ["bytes", "0"], {"a": 1}, ["complex", "1.0"], "\ud800",
        ["str", "a"], ["tuple", [["int", "x"]]],
    ],
)  # fmt: skip
def test_a_tag_of_another_form_is_refused(tag: Any) -> None:
    with pytest.raises(TagError):
        untagged(tag)


def test_only_values_of_exact_types_within_bounds_are_tagged() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    shared: list[Any] = [0] * 10
    for _ in range(12):
        shared = [shared] * 10
    for value in (object(), type("Sub", (int,), {})(1), cycle, shared, range(3), len):
        with pytest.raises(TagError):
            tagged(value)
