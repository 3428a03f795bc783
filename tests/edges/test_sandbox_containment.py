"""What hostile code can do to the host from within each tier: nothing, with the same acts seen to work without walls."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.sandbox import Job, Limits, Outcome, Sandbox, available_tiers, create_sandbox


def _battery() -> Any:
    path = Path(__file__).parent / "sandbox_battery.py"
    spec = importlib.util.spec_from_file_location("autodata_sandbox_battery", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


battery = _battery()
ACTS, FLOODS, LEAKED, World = battery.ACTS, battery.FLOODS, battery.LEAKED, battery.World
HELD = Limits(wall_s=5, cpu_s=3, memory_mb=256)
SHORT = Limits(wall_s=0.25, cpu_s=3, memory_mb=128, output_bytes=1_000_000)
SHORTER = Limits(wall_s=0.08, cpu_s=3, memory_mb=128, output_bytes=100_000)
BOTH_LAYERS = [
    act
    for act in ACTS
    if act.name in ("read_canary", "write_temporary", "udp", "fork", "kill_victim", "shell", "umask")
]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are looked at the POSIX way")


def named(cases: list[Any]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def tier(name: Any) -> Sandbox:
    """Return the sandbox, or skip for all to see."""
    if name != "none":
        status = next(each for each in available_tiers() if each.name == name)
        if not status.ok:
            pytest.skip(f"the tier {name} is off here: {status.detail}")
    return create_sandbox(name)


@pytest.fixture(scope="module")
def confined() -> Iterator[Sandbox]:
    sandbox = tier("confined")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def wrapped() -> Iterator[Sandbox]:
    sandbox = tier("bwrap")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def monty() -> Iterator[Sandbox]:
    sandbox = tier("monty")
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[Sandbox]:
    sandbox = tier("none")
    yield sandbox
    sandbox.close()


def act_on(sandbox: Sandbox, act: Any) -> tuple[Outcome, list[str]]:
    """Return what became of an act, and what it did to the host."""
    with World() as world:
        outcome = sandbox.run(Job(code=act.code, function="solve", calls=((world.facts(),),), limits=HELD))
        return outcome, world.harm(repr(outcome.values) + outcome.detail)


def test_at_least_one_tier_with_walls_runs_here() -> None:
    assert any(each.ok for each in available_tiers()), available_tiers()


def test_the_battery_is_large() -> None:
    assert len({act.name for act in ACTS}) == len(ACTS) >= 40


@named([act for act in ACTS if act.safe])
def test_the_detector_sees_the_act_when_nothing_holds_it(case: Any, plain: Sandbox) -> None:
    outcome, harm = act_on(plain, case)
    if not harm and case.varies:
        pytest.skip(f"this machine refuses it without walls too: {outcome.detail or outcome.values}")
    assert harm, outcome


@named(ACTS)
def test_confined_contains(case: Any, confined: Sandbox) -> None:
    outcome, harm = act_on(confined, case)
    assert not harm, outcome
    if outcome.kind != "returned":  # it got as far as being refused, and did not fail for another reason
        assert not outcome.detail.startswith(("NameError", "SyntaxError", "TypeError", "AttributeError")), outcome


@named(BOTH_LAYERS)
def test_bubblewrap_contains(case: Any, wrapped: Sandbox) -> None:
    outcome, harm = act_on(wrapped, case)
    assert not harm, outcome


def test_monty_contains_every_act(monty: Sandbox) -> None:
    for act in ACTS:
        outcome, harm = act_on(monty, act) if act.name in ("read_canary", "tcp") else (_without_world(monty, act), [])
        assert not harm, (act.name, outcome)
        assert outcome.kind in ("raised", "unsupported"), (act.name, outcome)


def _without_world(sandbox: Sandbox, act: Any) -> Outcome:
    return sandbox.run(Job(code=act.code, function="solve", calls=(({"folder": "/x"},),), limits=HELD))


@pytest.mark.parametrize(
    "body",
    [
        "return open(w['canary']).read()",
        "return open(w['folder'] + '/new', 'w')",
        "import os\n    return os.listdir(w['folder'])",
        "import os\n    return os.path.exists(w['canary'])",
        "from pathlib import Path\n    return Path(w['canary']).read_text()",
        "from pathlib import Path\n    Path(w['folder'] + '/new').write_text('x')",
        "from pathlib import Path\n    Path(w['keep']).unlink()",
    ],
)
def test_monty_contains_what_it_can_express(body: str, monty: Sandbox) -> None:
    with World() as world:
        code = f"def solve(w):\n    {body}\n"
        outcome = monty.run(Job(code=code, function="solve", calls=((world.facts(),),), limits=HELD))
        assert outcome.kind == "raised", outcome  # it ran, and was refused
        assert "PermissionError" in outcome.detail
        assert not world.harm(repr(outcome.values))


def test_a_handle_that_the_host_leaves_open_is_not_there(confined: Sandbox) -> None:
    with World() as world:
        handle = os.open(world.folder / "canary", os.O_RDONLY)
        try:
            os.set_inheritable(handle, True)
            outcome = confined.run(Job(code=LEAKED.code, function="solve", calls=((world.facts(),),), limits=HELD))
        finally:
            os.close(handle)
    assert outcome.values == ("refused",), outcome


@named(FLOODS)
def test_confined_ends_what_does_not_end(case: Any, confined: Sandbox) -> None:
    began = time.monotonic()
    limits = SHORT.model_copy(update={"wall_s": 0.12}) if case.kinds == {"timeout"} else SHORT
    outcome = confined.run(Job(code=case.code, function="solve", calls=((),), limits=limits))
    # The clock also ends what would have filled its memory later, on a machine that is slow just now.
    assert outcome.kind in case.kinds | {"timeout"}, outcome
    assert time.monotonic() - began < 5


@named(FLOODS)
def test_monty_ends_what_does_not_end(case: Any, monty: Sandbox) -> None:
    began = time.monotonic()
    outcome = monty.run(Job(code=case.code, function="solve", calls=((),), limits=SHORTER))
    if case.name == "sleep":  # sleeping takes no time there, so the loop is what ends
        assert outcome.kind == "timeout"
    assert outcome.kind in case.kinds | {"unsupported", "timeout"}, outcome
    assert time.monotonic() - began < 5


def test_processor_time_ends_it_too(confined: Sandbox) -> None:
    limits = Limits(wall_s=30, cpu_s=1)
    outcome = confined.run(Job(code=FLOODS[0].code, function="solve", calls=((),), limits=limits))
    assert (outcome.kind, outcome.detail) == ("timeout", "the limit on CPU time")


def test_the_host_needs_little_memory_for_a_flood(confined: Sandbox) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for flood in FLOODS:
        if flood.name in ("write_handle", "write_every_handle", "large_value"):
            confined.run(Job(code=flood.code, function="solve", calls=((),), limits=SHORT))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB
