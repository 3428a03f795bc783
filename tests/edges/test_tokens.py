"""Counting tokens: exact where the encoding is at hand, on the high side where it is not, never over the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autodata_adapters.tokens import TokenCounter, TokenizerUnavailableError, encodings
from autodata_adapters.tokens.estimate import estimate_tokens

TEXTS = {
    "english": "The quick brown fox jumps over the lazy dog, isn't it? " * 20,
    "code": Path(__file__).read_text(encoding="utf-8"),
    "json": '{"score": 0.75, "reason": "ok", "ids": [1,2,3]}' * 20,
    "chinese": "数据生成循环评审" * 50,
    "digits": "3.14159265358979 " * 50,
    "emoji": "🙂👍🏽" * 50,
    "german": "Donaudampfschifffahrtsgesellschaftskapitän " * 20,
    "math": r"\frac{\partial f}{\partial x} = \sum_{i=1}^{n} x_i^2 " * 20,
    "russian": "Быстрая лиса прыгает через ленивую собаку. " * 20,
    "blanks": "a" + " " * 300 + "\n" * 50 + "b",
    "special": "x <|endoftext|> y",
    "odd": "a\ud800b\0c",
}


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "_loaded", {})
    monkeypatch.setattr(encodings, "_places", lambda name: iter(()))


def _needs_encoding() -> TokenCounter:
    counter = TokenCounter()
    if not counter.exact:
        pytest.skip("o200k_base is not on this machine")
    return counter


@pytest.mark.parametrize("kind", TEXTS)
def test_an_estimate_is_not_below_the_exact_count(kind: str) -> None:
    exact = _needs_encoding().count(TEXTS[kind])
    assert exact <= estimate_tokens(TEXTS[kind]) <= 4 * exact + 4


def test_counts_equal_those_of_tiktoken_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    _needs_encoding()
    import tiktoken
    import tiktoken_ext.openai_public as public

    for name in ("o200k_base", "cl100k_base"):
        ours = encodings.load_encoding(name).encoding
        monkeypatch.setattr(public, "load_tiktoken_bpe", lambda *_, ours=ours, **__: ours._mergeable_ranks)
        theirs = tiktoken.Encoding(**getattr(public, name)())
        for text in TEXTS.values():
            assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("openai:gpt-4o-mini", "o200k_base"),
        ("openrouter:openai/gpt-4", "cl100k_base"),
        ("openai:gpt-oss-20b", "o200k_base"),
        ("ft:gpt-4o:org::id", "o200k_base"),
        ("local:smollm2", None),
        ("anthropic:some-model", None),
    ],
)
def test_a_model_is_known_under_all_its_names(model: str, encoding: str | None) -> None:
    assert encodings.encoding_name(model) == encoding


def test_counts_for_a_foreign_model_are_not_called_exact() -> None:
    assert not TokenCounter("local:smollm2").exact
    with pytest.raises(TokenizerUnavailableError, match="smollm2"):
        TokenCounter("local:smollm2", exact=True)


@pytest.mark.usefixtures("nothing_here")
def test_without_an_encoding_counts_are_estimates_or_an_error_on_demand() -> None:
    counter = TokenCounter("gpt-4o")
    assert (counter.exact, counter.source, counter.count("")) == (False, "estimate", 0)
    assert counter.count("hello world") >= 2
    with pytest.raises(TokenizerUnavailableError, match="TIKTOKEN_CACHE_DIR"):
        TokenCounter("gpt-4o", exact=True)


def test_a_file_in_the_cache_with_another_hash_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / encodings._cache_key("o200k_base")).write_bytes(b"YQ== 0\n")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(encodings, "_loaded", {})
    assert "tiktoken cache" not in TokenCounter().source


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("max_tokens", [0, 1, 7, 100_000])
def test_a_truncated_text_is_a_start_that_fits(kind: str, max_tokens: int) -> None:
    counter = TokenCounter()
    text, was_cut = counter.truncate(TEXTS[kind], max_tokens)
    assert TEXTS[kind].startswith(text)
    assert counter.count(text) <= max_tokens
    assert was_cut == (text != TEXTS[kind])
    assert was_cut or counter.count(TEXTS[kind]) <= max_tokens


@pytest.mark.usefixtures("nothing_here")
def test_an_estimating_counter_truncates_as_well() -> None:
    counter = TokenCounter()
    text, was_cut = counter.truncate("word " * 1000, 50)
    assert was_cut
    assert 40 <= counter.count(text) <= 50


def test_nothing_is_imported_or_changed_behind_the_users_back() -> None:
    code = """
import os, socket, sys
def refuse(*_): raise AssertionError("network")
socket.socket.connect = refuse
before = dict(os.environ)
import autodata_adapters.tokens, autodata_adapters.sources, autodata_adapters.stores, autodata_adapters.coverage
loaded = [m for m in ("tiktoken", "litellm", "chromadb", "sklearn", "numpy", "langchain") if m in sys.modules]
assert not loaded, loaded
from autodata_adapters.tokens import TokenCounter
TokenCounter("openai:gpt-4o").count("hello")
assert "litellm" not in sys.modules
import tiktoken.registry
assert not tiktoken.registry.ENCODINGS
assert dict(os.environ) == before
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
