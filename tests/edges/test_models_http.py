"""What a provider does over real HTTP, and what becomes of it: through `create_model`, OpenAI's client and back."""

from __future__ import annotations

import gc
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.models import create_model
from autodata_core.errors import ModelAuthError, ModelError, ModelQuotaError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message

pytest.importorskip("langchain_openai")

SECRET = "sk-canary/0123+456789"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def request(text: str = "How many?", **changes: Any) -> ModelRequest:
    values: dict[str, Any] = {
        "role": "weak",
        "item": "i",
        "round": 1,
        "step": "r1.weak.0",
        "messages": (Message(role="system", content="Answer."), Message(role="user", content=text)),
        "seed": 11,
    }
    return ModelRequest(**{**values, **changes})


class Provider(ThreadingHTTPServer):
    """Speaks OpenAI's chat completions; `turns[n]` answers the n-th request, the last one all further ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.turns: list[Callable[[_Handler], None]] = [ok()]
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on purpose here."""


class _Handler(BaseHTTPRequestHandler):
    server: Provider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            turn = self.server.turns[min(len(self.server.asked), len(self.server.turns) - 1)]
            self.server.asked.append(body)
            self.server.headers.append(dict(self.headers))
        turn(self)

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


Turn = Callable[[_Handler], None]


def completion(text: str = "forty", finish: str = "stop", **changes: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "served-1",
        "choices": [choice],
        "usage": USAGE,
    }
    return {k: v for k, v in {**body, **changes}.items() if v is not ...}


def ok(*args: Any, **changes: Any) -> Turn:
    return lambda handler: handler.send(200, completion(*args, **changes))


def fails(status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> Turn:
    return lambda handler: handler.send(status, {"error": {"message": message, "type": "t", **error}}, headers)


def hang(handler: _Handler) -> None:
    handler.server.over.wait(20)


def drip(handler: _Handler) -> None:
    """Send a byte now and then, so that no idle timeout ever fires."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def reset(handler: _Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return `ask(model, request)` for both ways of calling."""

    async def call(model: Any, asked: ModelRequest) -> ModelReply:
        reply = await model.acomplete(asked) if request.param == "async" else model.complete(asked)
        assert isinstance(reply, ModelReply)
        return reply

    return call


_made: list[Any] = []


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    """Close the connections of every model in the loop that used them, as a run does at its end."""
    yield
    while _made:
        await _made.pop().aclose()


def make(provider: Provider, monkeypatch: pytest.MonkeyPatch | None = None, **options: Any) -> Any:
    if monkeypatch is not None:
        monkeypatch.setenv("CANARY_KEY", SECRET)
        options["api_key_env"] = "CANARY_KEY"
    chosen = {"base_url": provider.url, "timeout_s": 5.0, "retries": 2, **options}
    _made.append(create_model("openai:some-model", role="weak", options=chosen, base_dir=Path()))
    return _made[-1]


async def test_a_good_answer_comes_back_with_usage_served_name_and_cost(provider: Provider, ask: Any) -> None:
    reply = await ask(make(provider, price_in=1.0, price_out=10.0), request())
    assert (reply.text, reply.finish_reason, reply.served, reply.error) == ("forty", "stop", "served-1", None)
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.calls) == (7, 3, 1)
    assert reply.usage.cost_usd == pytest.approx(37e-6)
    assert not reply.usage.estimated
    assert reply.created.endswith("Z")


async def test_what_is_sent_is_what_was_asked(provider: Provider, ask: Any) -> None:
    model = make(provider, temperature=0.25, max_tokens=9)
    await ask(model, request(response_schema={"type": "object"}))
    (sent,) = provider.asked
    assert sent["messages"] == [{"role": "system", "content": "Answer."}, {"role": "user", "content": "How many?"}]
    assert (sent["temperature"], sent["seed"], sent["model"]) == (0.25, 11, "some-model")
    assert 9 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert "response_format" not in sent
    assert model.identity.params == {"temperature": 0.25, "max_tokens": 9, "structured": "prompt"}
    assert model.identity.endpoint == provider.url


async def test_a_schema_is_sent_natively_on_request(provider: Provider, ask: Any) -> None:
    await ask(make(provider, structured="json_schema"), request(response_schema={"type": "object"}))
    assert provider.asked[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}


async def test_a_cut_answer_is_kept_even_where_the_client_refuses_to_parse_it(provider: Provider, ask: Any) -> None:
    provider.turns = [ok('{"answer": "fo', "length")]
    for options in ({}, {"structured": "json_schema"}):
        reply = await ask(make(provider, **options), request(response_schema={"type": "object"}))
        assert (reply.text, reply.finish_reason, reply.usage.input_tokens) == ('{"answer": "fo', "length", 7)


async def test_the_key_of_another_provider_never_reaches_a_server_of_ones_own(
    provider: Provider, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    await ask(make(provider), request())
    assert SECRET not in json.dumps(provider.headers)


@pytest.mark.parametrize(
    ("turn", "error"),
    [
        (fails(401, f"bad key {SECRET}"), ModelAuthError),
        (fails(403), ModelAuthError),
        (fails(402), ModelQuotaError),
        (fails(429, code="insufficient_quota"), ModelQuotaError),
        (fails(404, code="model_not_found"), ModelError),
    ],
)
async def test_what_no_call_can_pass_is_raised_at_once(
    provider: Provider, ask: Any, turn: Turn, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.turns = [turn]
    with pytest.raises(error) as caught:
        await ask(make(provider, monkeypatch), request())
    assert len(provider.asked) == 1
    chain = [caught.value, caught.value.__cause__]
    assert SECRET not in "".join(map(str, chain))
    if error is ModelAuthError:
        assert "CANARY_KEY" in str(caught.value)


async def test_a_rate_limit_is_waited_for_as_long_as_the_provider_says(provider: Provider, ask: Any) -> None:
    provider.turns = [fails(429, headers={"Retry-After": "0.1"}), ok()]
    started = time.monotonic()
    reply = await ask(make(provider), request())
    assert (reply.text, reply.usage.calls, len(provider.asked)) == ("forty", 2, 2)
    assert 0.1 <= time.monotonic() - started < 3


async def test_a_wait_that_one_role_is_asked_for_holds_for_the_others(provider: Provider) -> None:
    import asyncio

    arrived: list[float] = []

    def busy(handler: _Handler) -> None:
        arrived.append(time.monotonic())
        fails(429, headers={"Retry-After": "0.5"})(handler)

    def fine(handler: _Handler) -> None:
        arrived.append(time.monotonic())
        handler.send(200, completion())

    provider.turns = [busy, fine]
    weak, judge = make(provider, max_concurrency=4), make(provider, max_concurrency=4)
    first = asyncio.create_task(weak.acomplete(request()))
    while not weak._endpoint.gate.is_closed(time.monotonic()):
        await asyncio.sleep(0.01)
    others = [asyncio.to_thread(judge.complete, request()), judge.acomplete(request())]
    replies = await asyncio.gather(first, *others)
    assert [reply.text for reply in replies] == ["forty"] * 3
    assert [reply.usage.calls for reply in replies] == [2, 1, 1]
    assert min(moment - arrived[0] for moment in arrived[1:]) >= 0.45


async def test_a_wait_longer_than_the_deadline_is_not_begun(provider: Provider, ask: Any) -> None:
    provider.turns = [fails(429, headers={"Retry-After": "60"})]
    started = time.monotonic()
    reply = await ask(make(provider, timeout_s=0.3), request())
    assert reply.error.startswith("rate_limit: ")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("turn", "kind", "tries"),
    [
        (fails(500), "server", 3),
        (fails(503), "server", 3),
        (fails(400), "bad_request", 1),
        (fails(422), "bad_request", 1),
        (fails(400, code="context_length_exceeded"), "context_length", 1),
        (reset, "connection", 3),
        (lambda handler: handler.send(200, b"{nonsense"), "unreadable", 3),
        (ok(choices=[]), "outage", 3),
        (ok(choices=None), "outage", 3),
        (hang, "timeout", 1),
        (drip, "timeout", 1),
    ],
    ids=["500", "503", "400", "422", "context", "reset", "garbage", "no-choices", "null-choices", "hang", "drip"],
)
async def test_a_failure_is_a_reply_with_its_kind(
    provider: Provider, ask: Any, turn: Turn, kind: str, tries: int
) -> None:
    provider.turns = [turn]
    started = time.monotonic()
    deadline_s = 0.3 if kind == "timeout" else 1.5
    reply = await ask(make(provider, timeout_s=deadline_s), request())
    assert reply.error is not None
    assert reply.error.startswith(f"{kind}: "), reply.error
    assert (reply.text, len(provider.asked), reply.usage.calls) == ("", tries, tries)
    assert "\n" not in reply.error
    assert time.monotonic() - started < deadline_s + 1.5


async def test_nobody_there_is_unreachable(provider: Provider, ask: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    reply = await ask(make(provider, base_url=url, timeout_s=1.0), request())
    assert reply.error.startswith("unreachable: ")


async def test_a_wrong_url_ends_the_use_of_the_model(provider: Provider, ask: Any) -> None:
    with pytest.raises(ModelError, match="base_url"):
        await ask(make(provider, base_url="localhost:9/v1"), request())


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": -5, "completion_tokens": -1, "total_tokens": -6}, ...])
async def test_usage_that_is_missing_or_absurd_is_estimated(provider: Provider, ask: Any, usage: Any) -> None:
    provider.turns = [ok(usage=usage)]
    reply = await ask(make(provider), request())
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0


async def test_calls_in_flight_are_bounded_across_threads_and_tasks(provider: Provider) -> None:
    import asyncio

    now, most = 0, 0
    lock = threading.Lock()

    def slow(handler: _Handler) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        handler.send(200, completion())

    provider.turns = [slow]
    model = make(provider, max_concurrency=2)
    calls = [model.acomplete(request()) for _ in range(4)]
    calls += [asyncio.to_thread(model.complete, request()) for _ in range(4)]
    replies = await asyncio.gather(*calls)
    assert most == 2
    assert all(reply.text == "forty" for reply in replies)


# httpx drops the connections of a loop that is closed, without closing them.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_model_serves_several_event_loops(provider: Provider) -> None:
    import asyncio

    model = make(provider)
    assert [asyncio.run(model.acomplete(request())).error for _ in range(3)] == [None, None, None]
    _made.clear()
    del model
    gc.collect()
