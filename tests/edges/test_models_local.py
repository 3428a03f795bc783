"""The local model itself, where its runtime and weights are: `make test-model`. `AUTODATA_TEST_WEIGHTS` may name the file."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.models import create_model, weights
from autodata_core.errors import ModelError
from autodata_core.ports import ModelRequest
from autodata_core.records import Message

WEIGHTS = Path(os.environ.get("AUTODATA_TEST_WEIGHTS") or weights.path_for("smollm2"))

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="the extra 'local' is not installed"),
    pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"no weights at {WEIGHTS}: autodata models pull smollm2"),
]

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 40}},
    "required": ["answer"],
    "additionalProperties": False,
}
TIMETABLE = " ".join(f"The bakery number {n} has {n * 7 % 31} ovens and sells {n * 13 % 97} loaves." for n in range(4))


def make(**options: Any) -> Any:
    chosen = {"max_tokens": 24, **options}
    return create_model(f"local:{WEIGHTS}", role="weak", options=chosen, base_dir=Path())


def request(text: str = "How many loaves?", seed: int = 1, **changes: Any) -> ModelRequest:
    values = {
        "role": "weak",
        "item": "i",
        "round": 1,
        "step": "s",
        "seed": seed,
        "messages": (Message(role="user", content=text),),
    }
    return ModelRequest(**{**values, **changes})


@pytest.mark.real_model
def test_it_answers_with_usage_and_the_hash_of_its_weights() -> None:
    model = make()
    reply = model.complete(request())
    assert reply.error is None
    assert reply.text
    assert reply.finish_reason in ("stop", "length")
    assert reply.usage.input_tokens > 5
    assert not reply.usage.estimated
    assert reply.served == model.identity.served == weights.sha256_of(WEIGHTS)


@pytest.mark.real_model
def test_equal_seeds_give_equal_texts_whatever_is_asked_besides() -> None:
    model = make(max_tokens=16)
    asked = [
        request(f"{TIMETABLE} How many does bakery {n} sell?", seed, response_schema=SCHEMA if seed % 2 else None)
        for n in range(2)
        for seed in range(4)
    ]
    first = [model.complete(r).text for r in asked]
    assert len(set(first)) > 4

    async def together(order: list[int]) -> dict[int, str]:
        replies = await asyncio.gather(*(model.acomplete(asked[n]) for n in order))
        return {n: reply.text for n, reply in zip(order, replies, strict=True)}

    for turn in range(2):
        order = list(range(len(asked)))
        random.Random(turn).shuffle(order)
        assert [text for _, text in sorted(asyncio.run(together(order)).items())] == first


@pytest.mark.real_model
def test_a_schema_holds() -> None:
    reply = make(max_tokens=60).complete(request(response_schema=SCHEMA))
    assert reply.finish_reason == "stop"
    assert list(json.loads(reply.text)) == ["answer"]


@pytest.mark.real_model
def test_messages_that_do_not_fit_and_schemas_that_are_none_are_bad_requests() -> None:
    model = make(n_ctx=256)
    assert model.complete(request("word " * 500)).error.startswith("context_length: ")
    assert model.complete(request(response_schema={"type": "nonsense"})).error.startswith("bad_request: ")
    assert model.complete(request("lone \ud800 surrogate")).error is None


@pytest.mark.real_model
def test_an_abandoned_answer_frees_the_engine() -> None:
    model = make(max_tokens=3000, timeout_s=0.5)
    for _ in range(3):
        started = time.monotonic()
        assert model.complete(request("Tell a long story.")).error.startswith("timeout: ")
        assert asyncio.run(model.acomplete(request("Tell a long story."))).error.startswith("timeout: ")
        assert time.monotonic() - started < 4
    assert make(max_tokens=4).complete(request()).error is None


@pytest.mark.real_model
def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF nothing")
    model = create_model(f"local:{bad}", role="weak", options={}, base_dir=Path())
    with pytest.raises(ModelError, match="cannot be loaded"):
        model.complete(request())


LEAVE = """
import sys, threading, time
from autodata_adapters.models.local import LocalChatModel
model = LocalChatModel(weights=sys.argv[1], max_tokens=3000)
def ask():
    try:
        model.invoke(sys.argv[3] * 800 + " Tell a long story.")
    except BaseException:
        pass
if sys.argv[2] == "exit":
    for _ in range(3):
        threading.Thread(target=ask, daemon=True).start()
    time.sleep(1.5)
elif sys.argv[2] == "ctrl-c":
    print("ready", flush=True)
    model.invoke(sys.argv[3] * 800 + " Tell a long story.")
else:
    model.invoke("hi", max_tokens=4)
"""


@pytest.mark.real_model
@pytest.mark.parametrize("text", ["", "word "], ids=["writing", "reading"])
@pytest.mark.parametrize("how", ["exit", "ctrl-c", "plain"])
def test_the_program_ends_cleanly_and_quietly_in_the_middle_of_an_answer(how: str, text: str) -> None:
    command = [sys.executable, "-c", LEAVE, str(WEIGHTS), how, text]
    code, out, err = _ended(command, interrupt=how == "ctrl-c")
    if how == "ctrl-c":
        assert code in (130, -signal.SIGINT)
        assert err.strip().endswith("KeyboardInterrupt")
        return
    if code != 0:  # the native runtime was seen to crash on leaving, once in twenty; twice in a row is ours
        code, out, err = _ended(command, interrupt=False)
    assert (code, out, err) == (0, "", "")


def _ended(command: list[str], *, interrupt: bool) -> tuple[int, str, str]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if interrupt:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(1.5)
        child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err
