"""No secret leaves: not in a message, not in the chain of an exception, not in a reply, not in a log record."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import logging
import sys
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_adapters.models import create_model
from autodata_adapters.models.calling import CallPolicy, ResilientModel
from autodata_adapters.models.redaction import MASK, Redactor, guard_logs, known_secrets, secrets_of_url
from autodata_core.errors import ModelAuthError, ModelError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity

CANARY = "sk-canary/0123+456789 end"
ASKED = ModelRequest(role="weak", item="i", round=1, step="s", messages=(Message(role="user", content="q"),), seed=1)


def _leaks(secret: str, text: str) -> bool:
    """Look for a secret in a way of its own: decode whatever can be decoded, and compare without case."""
    folded = text.lower()
    plain = {secret, urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)}
    plain |= {json.dumps(secret)[1:-1], secret.encode().hex(), repr(secret)[1:-1]}
    if any(form.lower() in folded for form in plain):
        return True
    for before in ("", "a", "ab"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            inner = encode((before + secret).encode()).decode().rstrip("=")[4:-1]
            if inner in text:
                return True
    return False


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda s: s,
    "url": lambda s: urllib.parse.quote(s, safe=""),
    "url-lower": lambda s: "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in s),
    "path": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "url-twice": lambda s: urllib.parse.quote(urllib.parse.quote(s, safe=""), safe=""),
    "json": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "json-ascii": lambda s: "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in s),
    "repr": lambda s: repr(s.encode())[2:-1],
    "hex": lambda s: s.encode().hex(),
    "base64-0": lambda s: base64.b64encode(s.encode()).decode(),
    "base64-1": lambda s: base64.b64encode(f"u{s}x".encode()).decode(),
    "base64-2": lambda s: base64.b64encode(f"u:{s}".encode()).decode(),
    "base64-url": lambda s: base64.urlsafe_b64encode(f"Bearer {s}".encode()).decode(),
    "base64-in-url": lambda s: urllib.parse.quote(base64.b64encode(s.encode()).decode(), safe=""),
    "cut": lambda s: s[: len(s) * 2 // 3],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form_it_travels_in(form: str) -> None:
    text = FORMS[form](CANARY)
    clean = Redactor([CANARY]).redact(f"<{text}>")
    assert MASK in clean
    assert not _leaks(CANARY, clean)
    assert len(clean) < len(text) + 12


ALPHABET = st.characters(min_codepoint=33, max_codepoint=126)


@given(secret=st.text(ALPHABET, min_size=8, max_size=60), form=st.sampled_from(sorted(set(FORMS) - {"cut"})))
def test_any_secret_is_found_in_any_form(secret: str, form: str) -> None:
    clean = Redactor([secret]).redact(f"before {FORMS[form](secret)} after")
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert MASK in clean
    assert secret not in clean.replace(MASK, "")


@given(text=st.text(max_size=200))
def test_what_holds_no_secret_stays(text: str) -> None:
    assert Redactor(["zq-0123456789"]).redact_exact(text) == text


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-AbCdEf0123456789AbCdEf",
        "sk-ant-api03-AbCdEf0123456789",
        "AIzaSyA0123456789012345678901234567890",
        "ya29.a0AfH6SMBx0123456789",
        "gsk_0123456789abcdefABCDEF",
        "xai-0123456789abcdefABCDEF",
        "hf_0123456789abcdefABCDEF",
        "r8_0123456789abcdefABCDEF",
        "pplx-0123456789abcdefABCDEF",
        "nvapi-0123456789abcdefABCDEF",
        "AKIAIOSFODNN7EXAMPLE",
        "github_pat_0123456789abcdefABCDEF",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlc2lnbg",
    ],
)
def test_what_looks_like_a_key_is_taken_out_unknown(key: str) -> None:
    assert Redactor().redact(f"Incorrect API key provided: {key}.").count(MASK) == 1
    assert key not in Redactor().redact(f"Authorization: Bearer {key}")


def test_ordinary_words_are_left_alone() -> None:
    said = "sk-learn and task-0123456789 failed; disk-image hf_hub ask-me-anything eyJ is short; the bearer of news"
    assert Redactor().redact(said) == said
    assert Redactor(["k", "", "ab"]).redact("a back kick") == "a back kick"


def test_user_info_in_a_url_goes() -> None:
    assert Redactor().redact("at https://me:pw@host/x") == "at https://host/x"
    assert set(secrets_of_url("http://u:a%2Fb%20c@host")) == {"a%2Fb%20c", "a/b c", "dTphL2IgYw=="}
    assert list(secrets_of_url("http://host")) == []


def test_hostile_texts_take_no_time() -> None:
    redactor = Redactor([CANARY, "x" * 60, "ab" * 40])
    started = time.process_time()
    for text in ("sk-" * 30_000, "x" * 90_000, "eyJaaaaaaaaa" * 8_000, "://" * 30_000, "A" * 90_000, "%25" * 30_000):
        redactor.redact(text)
    assert time.process_time() - started < 2


def test_secrets_are_gathered_from_named_variables_providers_and_headers() -> None:
    environ = {
        "MY_OWN": "value-of-my-own",
        "OPENAI_API_KEY": "sk-1234567890",
        "AWS_SECRET_ACCESS_KEY": "aws-1234567890",
        "HF_TOKEN": "hf-1234567890",
        "OPENAI_BASE_URL": "http://host/v1",
        "OTHER": "not secret at all",
        "ANTHROPIC_API_KEY": "k",
    }
    headers = {"Authorization": "Bearer tok-123456", "X-Team": "team-123", "Content-Type": "application/json"}
    assert known_secrets(["MY_OWN", "NOT_SET"], headers=headers, environ=environ) == {
        "value-of-my-own",
        "sk-1234567890",
        "aws-1234567890",
        "hf-1234567890",
        "Bearer tok-123456",
        "tok-123456",
        "team-123",
    }


TOLD = {
    401: lambda told: told,
    402: lambda told: base64.b64encode(told.encode()).decode(),
    404: lambda told: urllib.parse.quote(told, safe=""),
    400: lambda told: base64.urlsafe_b64encode(f"x{told}".encode()).decode(),
    500: lambda told: told.encode().hex(),
}
"""How a server that refuses with this status tells what it was told."""


class Echo:
    """A server that repeats the secrets that it was told."""

    def __init__(self, status: int, loopback: Any) -> None:
        def fault(handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> bool:
            told = TOLD[status](" ".join(handler.headers.get(name, "") for name in ("X-Token", "Authorization")))
            message = f"no: {told}"
            body = json.dumps({"error": {"message": message, "type": "t", "code": None, "headers": told}}).encode()
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return True

        self.server = loopback.LoopbackServer(lambda model, messages: "four", fault=fault)


@pytest.fixture
def echo() -> Iterator[Callable[[int], Any]]:
    path = Path(__file__).parents[1] / "loopback.py"
    spec = importlib.util.spec_from_file_location("autodata_redaction_loopback", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    made: list[Any] = []

    def make(status: int) -> Any:
        made.append(Echo(status, module).server)
        return made[-1]

    yield make
    for server in made:
        server.close()


SECRETS = {
    "env": "sk-canary-env/0123456789",
    "header": "canary header+0123456789",
    "url": "canary-url=0123456789",
    "provider": "canary-provider-0123456789",
}


def _everything(error: BaseException) -> str:
    """Return all that a careless handler could print of an exception, whatever it hangs on to."""
    seen: list[str] = ["".join(traceback.format_exception(error))]
    queue, known = [error], set()
    while queue:
        each = queue.pop()
        if id(each) in known:
            continue
        known.add(id(each))
        seen += [str(each), repr(each), repr(each.args), repr(vars(each))]
        response = getattr(each, "response", None)
        seen.append(repr(getattr(getattr(response, "request", None), "headers", "")))
        queue += [cause for cause in (each.__cause__, each.__context__) if cause is not None]
    return "\n".join(seen)


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", SECRETS["env"])
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRETS["provider"])


def _langchain(url: str, folder: Path) -> Any:
    with_password = url.replace("://", f"://user:{urllib.parse.quote(SECRETS['url'], safe='')}@")
    options = {"base_url": with_password, "timeout_s": 5.0, "retries": 0, "api_key_env": "CANARY_KEY"}
    return create_model("openai:some-model", role="weak", options=options, base_dir=folder)


def _langchain_object(url: str, folder: Path) -> Any:
    module = f"canary_models_{time.monotonic_ns()}"
    (folder / f"{module}.py").write_text(
        "from langchain_openai import ChatOpenAI\n"
        f"chat = ChatOpenAI(model='m', base_url={url!r}, api_key={SECRETS['env']!r}, "
        f"default_headers={{'X-Token': {SECRETS['header']!r}}})\n"
    )
    options = {"timeout_s": 5.0, "retries": 0}
    return create_model(f"{module}:chat", role="weak", options=options, base_dir=folder)


def _dspy(url: str, folder: Path) -> Any:
    dspy = pytest.importorskip("dspy")
    from autodata_adapters.models.dspy import DSPyModel

    lm = dspy.LM("openai/m", api_base=url, api_key=SECRETS["env"], cache=False, num_retries=0)
    return DSPyModel(lm, policy=CallPolicy(timeout_s=5.0, retries=0))


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("status", [401, 402, 404, 400, 500])
@pytest.mark.parametrize("make", [_langchain, _langchain_object, _dspy])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_canary_occurs_nowhere(
    make: Any, status: int, way: str, echo: Any, canaries: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("langchain_openai")
    server = echo(status)
    caplog.set_level(logging.DEBUG)
    model = make(server.url, tmp_path)
    text = ""
    try:
        text = str(model.complete(ASKED) if way == "sync" else asyncio.run(model.acomplete(ASKED)))
    except ModelError as error:
        text = _everything(error)
        logging.getLogger("autodata").exception("it failed")
    assert server.calls == 1, "the request reached the server"
    assert MASK in text, "the server told them back"
    text += "\n".join([*(logging.Formatter().format(record) for record in caplog.records), repr(model.identity)])
    for name, secret in SECRETS.items():
        assert not _leaks(secret, text), name


def test_the_looking_itself_finds_a_canary() -> None:
    for name, form in FORMS.items():
        if name not in ("cut", "url-twice", "json", "json-ascii", "url-lower", "base64-in-url"):
            assert _leaks(SECRETS["env"], f"<{form(SECRETS['env'])}>"), name


def test_the_key_of_a_provider_that_nobody_named_is_known_too(canaries: None) -> None:
    class Talkative(ResilientModel):
        def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
            raise RuntimeError(f"environment: {SECRETS['provider']}")

        async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
            raise ModelError(f"ours: {SECRETS['provider']}")

    model = Talkative(ModelIdentity(name="talkative"))
    assert model.complete(ASKED).error == f"unexpected: RuntimeError: environment: {MASK}"
    with pytest.raises(ModelError) as caught:
        asyncio.run(model.acomplete(ASKED))
    assert not _leaks(SECRETS["provider"], _everything(caught.value))


def test_a_provider_whose_package_shows_the_key_is_quoted_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import langchain.chat_models

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"api_key {kwargs['api_key']} has a wrong form")

    monkeypatch.setenv("CANARY_KEY", SECRETS["env"])
    monkeypatch.setattr(langchain.chat_models, "init_chat_model", refuse)
    with pytest.raises(ModelAuthError, match="wrong form") as caught:
        create_model("openai:x", role="weak", options={"api_key_env": "CANARY_KEY"}, base_dir=Path())
    assert not _leaks(SECRETS["env"], _everything(caught.value))


def test_a_key_in_an_answer_does_not_reach_a_row(echo: Any, canaries: None, tmp_path: Path) -> None:
    pytest.importorskip("langchain_openai")
    server = echo(200)
    server.fault = None
    reply = _langchain(server.url, tmp_path)._answer_redactor.redact_exact(f"four {SECRETS['env']} not-needed")
    assert reply == f"four {MASK} not-needed"


def test_client_logs_are_cleaned_with_their_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    secret = "canary-in-a-log-0123"
    guard_logs([secret])
    log = logging.getLogger("httpx")
    with caplog.at_level(logging.INFO, logger="httpx"):
        log.info("HTTP Request: %s %s", "POST", f"http://u:{secret}@host/v1")
        try:
            raise ValueError(secret)
        except ValueError:
            log.exception("failed")
        log.info("plain %s", "words")
    said = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert secret not in said
    assert "ValueError" in said
    assert "plain words" in said
