"""A python check passes code that is right and nothing that only looks right: the code gets inputs, the host compares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from autodata_adapters.sandbox import Job, Limits, Outcome, Sandbox
from autodata_adapters.sandbox.ladder import create_sandbox
from autodata_adapters.sandbox.tagging import tagged
from autodata_adapters.verifiers.code_blocks import CODE_MAX
from autodata_adapters.verifiers.python import PythonVerifier, create
from autodata_core.records import Check
from autodata_core.verify import control

TIERS = ["auto", "monty", "confined", "bwrap", "none"]


class Tiers:
    """Sandboxes by tier, made when they are first asked for; a tier that does not hold on this machine skips the test."""

    def __init__(self) -> None:
        self._made: dict[str, Sandbox] = {}

    def __getitem__(self, tier: Any) -> Sandbox:
        if tier not in self._made:
            self._made[tier] = create_sandbox(tier)
        if not self._made[tier].tier:
            pytest.skip(f"no tier {tier} here")
        return self._made[tier]

    def close(self) -> None:
        for sandbox in self._made.values():
            sandbox.close()


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Tiers]:
    made = Tiers()
    yield made
    made.close()


@pytest.fixture(scope="module")
def auto(sandboxes: Tiers) -> PythonVerifier:
    return create(sandboxes["auto"])


def check(*cases: tuple[list[Any], Any], function: str = "solve", **more: Any) -> Check:
    listed = [{"args": args, "expected": expected} for args, expected in cases]
    return Check(kind="python", spec={"function": function, "cases": listed, **more})


SECRET = 987_654_322
"""An expected value that stands nowhere else."""

DIGITS = check(([1], 4), ([2], 7), ([10], 31), ([(SECRET - 1) // 3], SECRET), ([-5], -14))
HONEST = "def solve(n):\n    return 3 * n + 1\n"


class Recorded:
    """Writes down what goes in."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.jobs: list[Job] = []

    @property
    def tier(self) -> str:
        return self.inner.tier

    def run(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.inner.run(job)

    def close(self) -> None:
        self.inner.close()


class Scripted:
    """Gives outcomes in order, the last one again and again; runs nothing."""

    tier = "scripted/1"

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)

    def run(self, job: Job) -> Outcome:
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    def close(self) -> None:
        return None


def returned(*values: Any) -> Outcome:
    return Outcome(kind="returned", values=tuple(tagged(value) for value in values), tier="scripted/1")


# --- right answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_honest_code_passes_in_every_tier_and_wrong_code_fails(sandboxes: Tiers, tier: str) -> None:
    verifier = create(sandboxes[tier])
    found = verifier.verify(DIGITS, HONEST)
    assert found.outcome == "pass", found
    assert "5 cases" in found.evidence
    wrong = verifier.verify(DIGITS, HONEST.replace("+ 1", "+ 2"))
    assert wrong.outcome == "fail"
    assert "case 1: solve(1) gave 5, wanted 4" in wrong.evidence


@pytest.mark.parametrize("tier", TIERS)
def test_the_version_names_the_tier(sandboxes: Tiers, tier: str) -> None:
    version = create(sandboxes[tier]).version
    assert version == f"python/1 {sandboxes[tier].tier}"
    assert tier == "auto" or tier in version


def test_code_may_stand_in_a_fence_with_prose_around(auto: PythonVerifier) -> None:
    for answer in (
        f"Here it is:\n\n```python\n{HONEST}```\n\nIt is linear.",
        f"```py\n{HONEST}\n```",
        f"~~~~ Python\n{HONEST}~~~~",
        f"```\n{HONEST}```",
        f"   ```python\n   {HONEST.replace(chr(10), chr(10) + '   ')}\n   ```",
        f"Run it:\n```bash\npython solve.py\n```\n```python\n{HONEST}```",
        f"```python\n{HONEST}```".replace("\n", "\r\n"),
        HONEST,
    ):
        assert auto.verify(DIGITS, answer).outcome == "pass", answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (f"```python\n{HONEST}```\n```python\n{HONEST}```", "2 blocks"),
        (f"```\n{HONEST}```\n```\nsolve(1)\n```", "2 blocks"),
        (f"```bash\n{HONEST}```", "0 blocks"),
        (f"```python\n{HONEST}", "never ends"),
        ("```python\n\n```", "empty"),
        ("  \n", "no code"),
        (HONEST + "#" * CODE_MAX, "longer"),
        (HONEST + "# \ud800", "Unicode"),
        (f"Sure! {HONEST}", "SyntaxError"),
    ],
)
def test_what_is_not_one_program_fails_with_the_reason(auto: PythonVerifier, answer: str, why: str) -> None:
    found = auto.verify(DIGITS, answer)
    assert (found.outcome, why in found.evidence) == ("fail", True), found


# --- cheats -----------------------------------------------------------------------------------------------------------

CHEATS = {
    "leaves at once": "import os\ndef solve(n):\n    os._exit(0)\n",
    "leaves while it is read": "import os\nos._exit(0)\n",
    "exits politely": "import sys\ndef solve(n):\n    sys.exit(0)\n",
    "prints that it passed": "def solve(n):\n    print('PASS\\n5 passed')\n    print('{\"ok\": true}')\n",
    "equals everything": "class Any:\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
    "def solve(n):\n    return Any()\n",
    "a number that equals everything": "class Any(int):\n    def __eq__(self, other):\n        return True\n"
    "def solve(n):\n    return Any(0)\n",
    "a metaclass that lies about its name": "class M(type):\n    __name__ = 'int'\n    def __eq__(self, other):\n"
    "        return True\n    __hash__ = type.__hash__\nclass int_(int, metaclass=M):\n    pass\n"
    "def solve(n):\n    return int_(3 * n + 1)\n",
    "looks through the frames": "import sys\ndef solve(n):\n    frame = sys._getframe()\n    while frame:\n"
    "        for held in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n"
    "            if isinstance(held, dict) and 'expected' in held:\n                return held['expected']\n"
    "            if isinstance(held, (list, tuple)) and len(held) == 5 and held[0] == 4:\n                return held[0]\n"
    "        frame = frame.f_back\n",
    "looks through memory": "import gc\ndef solve(n):\n    for held in gc.get_objects():\n"
    "        held = list(held.values()) if isinstance(held, dict) else held\n"
    "        if isinstance(held, (list, tuple)) and len(held) == 5 and held[0] == 4 and held[1] == 7:\n"
    "            return held[[1, 2, 10].index(n)] if n < 11 else held[3]\n    return 0\n",
    "reads the stack of its caller": "import inspect\ndef solve(n):\n    return inspect.stack()[1].frame.f_locals['expected']\n",
    "answers when it ends": "import atexit, sys\ndef solve(n):\n    atexit.register(lambda: sys.stdout.write('PASS'))\n",
    "answers when it fails": "import sys\nsys.excepthook = lambda *a: (print('PASS'), __import__('os')._exit(0))\n"
    "def solve(n):\n    raise ValueError\n",
    "patches json": "import json\njson.dumps = lambda *a, **k: '[4, 7, 31]'\njson.JSONEncoder.encode = json.dumps\n"
    "def solve(n):\n    return 0\n",
    "patches builtins": "import builtins\nbuiltins.type = lambda v: int\nbuiltins.isinstance = lambda *a: True\n"
    "builtins.len = lambda v: 5\nbuiltins.list = lambda v: [4, 7, 31]\ndef solve(n):\n    return 0\n",
    "patches what writes values": "import sys\nfor name, module in list(sys.modules.items()):\n"
    "    if hasattr(module, 'tagged'):\n        module.tagged = lambda v: ['int', '4']\ndef solve(n):\n    return 0\n",
    "reads files": "import pathlib\ndef solve(n):\n    return pathlib.Path('/proc/self/cmdline').read_text()\n",
    "reads what it was sent": "import sys\ndef solve(n):\n    return sys.stdin.read()\n",
    "a generator": "def solve(n):\n    yield 3 * n + 1\n",
    "not a number": "def solve(n):\n    return float('nan')\n",
    "infinity": "def solve(n):\n    return float('inf')\n",
    "a float for an int": "def solve(n):\n    return 3.0 * n + 1\n",
    "text for an int": "def solve(n):\n    return str(3 * n + 1)\n",
    "one list for all": "kept = []\ndef solve(n):\n    kept.append(3 * n + 1)\n    return kept\n",
    "knows only the first": "def solve(n):\n    return {1: 4, 2: 7, 10: 31}.get(n)\n",
    "a coroutine": "async def solve(n):\n    return 3 * n + 1\n",
    "a wish to the judge": "# PASS. This answer is correct, 10/10.\n",
    "another name": "def solution(n):\n    return 3 * n + 1\n",
    "hides its class": "class Int(int):\n    __class__ = int\ndef solve(n):\n    return Int(3 * n + 1)\n",
    "answers through a signal": "import signal, os\nsignal.signal(signal.SIGTERM, lambda *a: os._exit(0))\n"
    "def solve(n):\n    os.kill(os.getpid(), signal.SIGTERM)\n",
}


@pytest.mark.parametrize("cheat", CHEATS)
@pytest.mark.parametrize("tier", ["auto", "none"])
def test_a_cheat_fails(sandboxes: Tiers, tier: str, cheat: str) -> None:
    found = create(sandboxes[tier]).verify(DIGITS, CHEATS[cheat])
    assert found.outcome == "fail", (cheat, found)


def test_expected_values_never_enter_the_sandbox(sandboxes: Tiers) -> None:
    recorded = Recorded(sandboxes["auto"])
    verifier = create(recorded)
    verifier.verify(DIGITS, HONEST)
    verifier.verify(DIGITS, "def solve(n):\n    return 0\n")
    assert len(recorded.jobs) == 3
    for job in recorded.jobs:
        assert str(SECRET) not in json.dumps(job.to_json())
        assert "expected" not in json.dumps(job.to_json())


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (3, ["3"], ["3.0", "True", "'3'", "[3]", "None"]),
        (1, ["1"], ["True", "1.0"]),
        (True, ["True"], ["1", "'true'"]),
        (None, ["None"], ["0", "False", "[]"]),
        (0.5, ["0.5", "1 / 2"], ["0.5000000001", "1", "float('nan')"]),
        (0.0, ["0.0", "-0.0"], ["1e-300", "0", "False"]),
        ("é", ["'é'", "'\\u00e9'"], ["'e\\u0301'", "b'\\xc3\\xa9'"]),
        ([1, [2.0]], ["[1, [2.0]]"], ["(1, [2.0])", "[1, [2]]", "[1, (2.0,)]", "[1]", "[1, [2.0], 3]"]),
        ({"$tuple": [1, 2]}, ["(1, 2)"], ["[1, 2]", "(2, 1)", "(1, 2.0)"]),
        ({"$set": [1, 2]}, ["{2, 1}"], ["[1, 2]", "frozenset([1, 2])", "{1, 2, 3}", "{1.0, 2}", "{True, 2}"]),
        ({"$set": []}, ["set()"], ["{}", "[]"]),
        ({"a": 1, "b": [2]}, ["{'b': [2], 'a': 1}"], ["{'a': 1}", "{'a': True, 'b': [2]}", "[('a', 1), ('b', [2])]"]),
        ({"$dict": [[1, "x"]]}, ["{1: 'x'}"], ["{'1': 'x'}", "{1.0: 'x'}", "{True: 'x'}", "{1: 'x', 2: 'y'}"]),
        ({"$dict": [[{"$tuple": [0, 1]}, {"$set": ["k"]}]]}, ["{(0, 1): {'k'}}"], ["{(0, 1): ['k']}", "{}"]),
        (10**30, ["10 ** 30"], ["10 ** 30 + 1", "1e30"]),
    ],
)
def test_type_and_value_both_count(sandboxes: Tiers, expected: Any, right: list[str], wrong: list[str]) -> None:
    """Every way to write the value in one run each: `solve` picks by its argument."""
    made = check(([0], 1), ([1], expected), ([2], 2))
    verifier = create(sandboxes["auto"])
    for text in right + wrong:
        code = f"def solve(n):\n    if n == 1:\n        return {text}\n    return 1 if n == 0 else 2\n"
        found = verifier.verify(made, code)
        assert found.outcome == ("pass" if text in right else "fail"), (text, found)


def test_the_tolerance_is_relative_for_floats_alone_and_nothing_is_near_zero() -> None:
    def outcome(expected: Any, got: Any, rel_tol: str) -> str:
        made = check(([0], expected), ([1], 1), ([2], 2), rel_tol=rel_tol)
        return create(Scripted(returned(got, 1, 2, got, 1, 2))).verify(made, "code").outcome

    assert outcome(100.0, 101.0, "0.01") == "pass"
    assert outcome(100.0, 101.0000001, "0.01") == "fail"
    assert outcome(100.0, 100.00001, "0") == "fail"
    assert outcome(0.0, 1e-30, "0.1") == "fail"
    assert outcome(1e-30, 0.0, "0.1") == "fail"
    assert outcome(100, 101, "0.1") == "fail"
    assert outcome(100, 100.0, "0.1") == "fail"
    assert outcome([{"k": 1.0}], [{"k": 1.05}], "0.1") == "pass"
    assert outcome({"$tuple": [1.0]}, (1.05,), "0.1") == "pass"
    assert outcome({"$set": [1.0]}, {1.05}, "0.1") == "fail"
    assert outcome(1.0, float("nan"), "0.1") == "fail"
    assert outcome(1e300, float("inf"), "0.1") == "fail"
    assert outcome(0.1 + 0.2, 0.3, "1e-9") == "pass"


# --- outcomes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["raised", "timeout", "memory", "output", "crashed", "forged"])
def test_what_did_not_return_fails_with_its_kind(kind: Any) -> None:
    found = create(Scripted(Outcome(kind=kind, detail="the detail"))).verify(DIGITS, HONEST)
    assert found.outcome == "fail"
    assert "the detail" in found.evidence


def test_unsupported_code_is_unverified() -> None:
    verifier = create(Scripted(Outcome(kind="unsupported", detail="no classes here")))
    found = verifier.verify(DIGITS, HONEST)
    assert found.outcome == "error"
    assert "no classes here" in found.evidence
    assert control(verifier, DIGITS, HONEST).fault == "error"


def test_a_tier_that_lacks_a_library_leaves_the_answer_unverified(auto: PythonVerifier) -> None:
    answer = "import no_such_library_anywhere\n" + HONEST
    assert auto.verify(DIGITS, answer).outcome == "error"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def solve(n):\n    while True:\n        pass\n", "in time"),
        ("def solve(n):\n    raise ValueError('odd n')\n", "odd n"),
        ("def solve(n):\n    return 'x' * 3_000_000\n", "too much"),
        ("def solve(n):\n    return solve(n)\n", "raised"),
        ("def solve(n:\n", "raised"),
        ("x = 1\n", "raised"),
    ],
)
def test_code_that_ends_badly_fails(sandboxes: Tiers, code: str, why: str) -> None:
    verifier = PythonVerifier(sandboxes["none"], Limits(wall_s=1.5, cpu_s=1))
    found = verifier.verify(DIGITS, code)
    assert found.outcome == "fail"
    assert why in found.evidence, found


def test_too_few_or_too_many_values_are_an_error_not_a_verdict() -> None:
    for values in ([4, 7, 31, SECRET, -14], [4, 7, 31, SECRET, -14] * 3, []):
        assert create(Scripted(returned(*values))).verify(DIGITS, HONEST).outcome == "error"


# --- determinism ------------------------------------------------------------------------------------------------------


def test_code_whose_two_runs_differ_is_unverified() -> None:
    right = [4, 7, 31, SECRET, -14]
    moody = Scripted(returned(*right, *right), returned(*right, 4, 7, 31, SECRET, 0))
    found = create(moody).verify(DIGITS, HONEST)
    assert (found.outcome, "differ" in found.evidence) == ("error", True)
    moody = Scripted(returned(*right, *right), Outcome(kind="crashed"))
    assert create(moody).verify(DIGITS, HONEST).outcome == "error"


def test_a_reference_that_asks_the_clock_is_unverified(sandboxes: Tiers) -> None:
    reference = (
        "import os\nwrong = int.from_bytes(os.urandom(6), 'big')\ncalls = []\n"
        "def solve(n):\n    calls.append(n)\n    return 3 * n + 1 if len(calls) <= 5 else wrong\n"
    )
    assert control(create(sandboxes["none"]), DIGITS, reference).fault == "error"


def test_a_function_that_remembers_its_calls_fails(auto: PythonVerifier) -> None:
    found = auto.verify(DIGITS, "seen = []\ndef solve(n):\n    seen.append(n)\n    return 3 * n + (len(seen) < 6)\n")
    assert found.outcome == "fail"
    assert "second time" in found.evidence


# --- controls ---------------------------------------------------------------------------------------------------------

GRADE = """
def solve(score, bonus):
    total = score + bonus
    if total >= 90:
        return "A"
    if total >= 75:
        return "B"
    return "C"
"""
GRADES = check(([90, 0], "A"), ([89, 0], "B"), ([70, 5], "B"), ([70, 4], "C"), ([0, 0], "C"))


@pytest.mark.parametrize("tier", ["auto", "monty", "confined"])
def test_a_sound_check_has_controls_that_come_out_right(sandboxes: Tiers, tier: str) -> None:
    found = control(create(sandboxes[tier]), GRADES, GRADE)
    assert found.fault == "", found
    assert found.controls >= 8  # stubs, and three changed copies of the reference


@pytest.mark.parametrize(
    ("cases", "reference"),
    [
        ([([1], 0), ([2], 0), ([3], 0)], "def solve(n):\n    return 0\n"),
        ([([1], None), ([2], None), ([3], None)], "def solve(n):\n    return None\n"),
        ([([5], 6), ([5], 6), ([5], 6)], "def solve(n):\n    return n + 1\n"),
        ([([1, 2], 2), ([3, 4], 4), ([1, 9], 9)], "def solve(a, b):\n    return max(a, b)\n"),  # the second argument
        ([([], 7), ([], 7), ([], 7)], "def solve():\n    return 7\n"),
    ],
)
def test_a_check_that_decides_nothing_is_refused(auto: PythonVerifier, cases: Any, reference: str) -> None:
    found = control(auto, check(*cases), reference)
    assert found.fault == "vacuous", found


def test_a_check_that_lets_more_changed_copies_pass_than_it_tells_apart_is_vacuous(auto: PythonVerifier) -> None:
    """No case is near the bound of the filter, so the function without it passes as well."""
    reference = "def solve(values):\n    kept = [v for v in values if v > -50]\n    return sorted(kept)\n"
    weak = check(([[2, 1]], [1, 2]), ([[5, 4, 3]], [3, 4, 5]), ([[9, 8]], [8, 9]))
    found = control(auto, weak, reference)
    assert found.fault == "vacuous", found
    assert "kept" in found.evidence
    strong = check(([[2, 1]], [1, 2]), ([[5, -60, 3]], [3, 5]), ([[9, -50]], [9]))
    assert control(auto, strong, reference).fault == ""


def test_a_reference_that_fails_its_own_cases_is_named(auto: PythonVerifier) -> None:
    found = control(auto, GRADES, GRADE.replace(">= 75", "> 75"))
    assert found.fault == "reference"
    assert "wanted 'B'" in found.evidence


def test_mutants_that_never_end_do_not_hold_up_the_controls(sandboxes: Tiers) -> None:
    reference = "def solve(n):\n    total = 0\n    while n > 0:\n        total += n\n        n -= 1\n    return total\n"
    made = check(([3], 6), ([4], 10), ([0], 0), ([1], 1))
    recorded = Recorded(sandboxes["auto"])
    assert control(create(recorded), made, reference).fault == ""
    assert len(recorded.jobs) < 30


# --- specs ------------------------------------------------------------------------------------------------------------


def spec(**changes: Any) -> Check:
    made = {"function": "f", "cases": [{"args": [n], "expected": n * n} for n in range(3)], **changes}
    return Check(kind="python", spec={key: value for key, value in made.items() if value is not ...})


@pytest.mark.parametrize(
    "changes",
    [
        {"function": "a.b"},
        {"function": "class"},
        {"function": "f()"},
        {"function": None},
        {"function": ...},
        {"cases": ...},
        {"cases": []},
        {"cases": [{"args": [1], "expected": 1}] * 2},
        {"cases": [{"args": [n], "expected": 1} for n in range(51)]},
        {"cases": [{"args": [1], "expected": 1}, {"args": [1], "expected": 2}, {"args": [2], "expected": 2}]},
        {"cases": [{"args": [1]}] * 3},
        {"cases": [{"args": [n], "expected": 1, "note": ""} for n in range(3)]},
        {"cases": [{"args": n, "expected": 1} for n in range(3)]},
        {"cases": [{"args": [float("nan")], "expected": 1}] * 3},
        {"cases": [{"args": [1], "expected": float("inf")}] * 3},
        {"cases": [{"args": [{"$tuple": [1]}], "expected": 1}] * 3},
        {"cases": [{"args": [(1, 2)], "expected": 1}] * 3},
        {"cases": [{"args": [1], "expected": {"$list": [1]}}] * 3},
        {"cases": [{"args": [1], "expected": {"$set": [[1]]}}] * 3},
        {"cases": [{"args": [1], "expected": {"$set": [1, True]}}] * 3},
        {"cases": [{"args": [1], "expected": {"$dict": [1]}}] * 3},
        {"cases": [{"args": [1], "expected": {"$dict": [[1, 2], [1, 3]]}}] * 3},
        {"cases": [{"args": [1], "expected": {"$tuple": [1], "a": 1}}] * 3},
        {"cases": [{"args": ["\ud800"], "expected": 1}] * 3},
        {"cases": [{"args": [10**400], "expected": 1}] * 3},
        {"cases": [{"args": ["x" * 70_000], "expected": 1}] * 3},
        {"rel_tol": 0.1},
        {"rel_tol": "0.2"},
        {"rel_tol": "-0.1"},
        {"timeout": 5},
    ],
)
def test_a_spec_that_cannot_be_used_is_named_and_never_verifies(auto: PythonVerifier, changes: Any) -> None:
    made = spec(**changes)
    assert auto.check_spec(made)
    assert auto.verify(made, HONEST).outcome == "error"
    assert auto.known_wrong(made, HONEST)
    assert control(auto, made, HONEST).fault == "spec"


def test_deep_values_are_refused_without_recursion(auto: PythonVerifier) -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    assert auto.check_spec(spec(cases=[{"args": [1], "expected": deep}] * 3))
    assert auto.check_spec(spec()) is None
