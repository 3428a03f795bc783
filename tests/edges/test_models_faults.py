"""What each fault of a provider becomes, over real HTTP and through both kinds of client: outcome, calls made, time taken.

`ROWS` is the table. Each row is shown to bite: the same server answers when the fault is off.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.models import calling, create_model
from autodata_adapters.models.calling import CallPolicy
from autodata_adapters.models.failures import FailureKind
from autodata_adapters.models.slots import Endpoints
from autodata_core.errors import ModelAuthError, ModelError, ModelQuotaError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message

pytest.importorskip("langchain_openai")
dspy = pytest.importorskip("dspy")


def _loopback() -> Any:
    path = Path(__file__).parents[1] / "loopback.py"
    spec = importlib.util.spec_from_file_location("autodata_faults_loopback", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


loopback = _loopback()

Handler = BaseHTTPRequestHandler
Fault = Callable[[Handler, dict[str, Any]], bool]

DEADLINE_S = 0.3
"""Of calls whose fault is that nothing comes."""
PATIENCE_S = 4.0
"""Of calls whose fault comes at once, so that a busy machine changes no count."""
SLACK_S = 2.0
"""What a busy machine may add. Without a deadline the slow rows take 20 s."""
SLOW_S = 20.0
KEY = "sk-fault-0123456789abcdef"


def says(status: int, body: Any, headers: dict[str, str] | None = None) -> Fault:
    def fault(handler: Handler, asked: dict[str, Any]) -> bool:
        send(handler, status, body, headers)
        return True

    return fault


def send(handler: Handler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}
    handler.send_response(status)
    for name, value in sent.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)


def refuses(status: int, message: str = "no", headers: dict[str, str] | None = None, **error: Any) -> Fault:
    return says(status, {"error": {"message": message, "type": "t", **error}}, headers)


def answers(text: str | None = "four", finish: str = "stop", **changes: Any) -> Fault:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return says(200, {**body, "usage": {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}, **changes})


def only_this_question(fault: Fault) -> Fault:
    """Leave the trivial question to the server."""
    return lambda handler, asked: "How many" in asked["messages"][-1]["content"] and fault(handler, asked)


def hang(handler: Handler, asked: dict[str, Any]) -> bool:
    OVER[0].wait(SLOW_S)
    handler.close_connection = True
    return True


def drip(handler: Handler, asked: dict[str, Any]) -> bool:
    """Send a byte now and then, so that no idle timeout ever fires."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    return _drip(handler, b" ")


def drip_headers(handler: Handler, asked: dict[str, Any]) -> bool:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    return _drip(handler, b"x")


def _drip(handler: Handler, byte: bytes) -> bool:
    started, over = time.monotonic(), OVER[0]
    while not over.wait(0.02) and time.monotonic() - started < SLOW_S:
        handler.wfile.write(byte)
        handler.wfile.flush()
    handler.close_connection = True
    return True


def reset(handler: Handler, asked: dict[str, Any]) -> bool:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    return True


def promises_more(handler: Handler, asked: dict[str, Any]) -> bool:
    """Announce a longer body than comes."""
    send(handler, 200, b'{"id": "c"', {"Content-Length": "400"})
    handler.close_connection = True
    return True


OVER: list[Any] = [None]
"""The event of the server in use."""
HELD_BACK_AT: list[float] = []
"""When requests came to a server that asks for a pause first."""


def asks_for_a_pause(handler: Handler, asked: dict[str, Any]) -> bool:
    """Refuse the first request for 0.2 s, and leave the next one to the server."""
    HELD_BACK_AT.append(time.monotonic())
    if len(HELD_BACK_AT) == 1:
        send(handler, 429, {"error": {"message": "slow down", "type": "t"}}, {"Retry-After": "0.2"})
        return True
    return False


HTML = says(200, b"<html><body>Please sign in.</body></html>", {"Content-Type": "text/html"})
TOMORROW = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)


@dataclass(frozen=True)
class Row:
    name: str
    fault: Fault | str
    """What the server does, or where the client goes instead: `refused`, `dns`, `tls`."""
    outcome: str | type[ModelError]
    """Start of the reply's error, `finish:REASON` of a reply without one, or what is raised."""
    calls: int | tuple[int, int]
    """HTTP requests: through LangChain, through dspy."""
    slow: bool = False
    """Whether the deadline ends it."""


ROWS = [
    Row("401", refuses(401), ModelAuthError, 1),
    Row("403", refuses(403), ModelAuthError, 1),
    Row("402", refuses(402), ModelQuotaError, 1),
    Row("quota used up", refuses(429, code="insufficient_quota"), ModelQuotaError, 1),
    Row("model unknown", refuses(404, code="model_not_found"), ModelError, 1),
    Row("rate limit", refuses(429), "rate_limit", 3),
    Row("rate limit, wait short enough", asks_for_a_pause, "finish:stop", 2),
    Row("rate limit, wait too long", refuses(429, headers={"Retry-After": "60"}), "rate_limit", 1),
    Row("rate limit until tomorrow", refuses(429, headers={"Retry-After": TOMORROW}), "rate_limit", 1),
    Row("request filtered", refuses(400, code="content_filter"), "content_filter", 1),
    Row("reply filtered", answers("", "content_filter"), "finish:content_filter", 1),
    Row("context too long", refuses(400, code="context_length_exceeded"), "context_length", 1),
    Row("bad request", refuses(400), "bad_request", 1),
    Row("reply cut", answers("fo", "length"), "finish:length", 1),
    Row("no choices, only here", only_this_question(answers(choices=[])), "empty", 3),
    Row("no choices at all", answers(choices=[]), "outage", 3),
    Row("null choices", answers(choices=None), "outage", 3),
    Row("empty text, only here", only_this_question(answers("")), "empty", 3),
    Row("hang", hang, "timeout", 1, slow=True),
    Row("drip", drip, "timeout", 1, slow=True),
    Row("drip in the headers", drip_headers, "timeout", 1, slow=True),
    Row("request timeout", refuses(408), "timeout", 3),
    Row("reset", reset, "connection", 3),
    Row("refused", "refused", "unreachable", 0),
    Row("unknown host", "dns", "unreachable", 0),
    Row("no TLS there", "tls", ModelError, 0),
    Row("500", refuses(500), "server", 3),
    Row("503", refuses(503), "server", 3),
    Row("error inside a 200", says(200, {"error": {"message": "overloaded", "code": 529}}), "server", 3),
    Row("JSON that is none", says(200, b"{nonsense"), "unreadable", 3),
    Row("JSON of another kind", says(200, [1]), "unreadable", 3),
    Row("a web page", HTML, "unreadable", 3),
    Row("body shorter than announced", promises_more, "connection", 3),
    Row("body cut to its length", says(200, b'{"id": "c", "choices": [{"mess'), "unreadable", 3),
    Row("redirects in a circle", says(307, b"", {"Location": "/v1/chat/completions"}), ModelError, (21, 1)),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with loopback.LoopbackServer(lambda model, messages: "four") as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that an earlier fault taught about the endpoint, short back-offs, and one host that is not known."""
    monkeypatch.setattr(calling, "ENDPOINTS", Endpoints())
    monkeypatch.setattr(calling, "_FIRST_WAIT_S", 0.01)
    lookup = socket.getaddrinfo

    def looked_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host in ("no-such-host.invalid", b"no-such-host.invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    server.meter.clear()
    HELD_BACK_AT.clear()
    yield
    server.fault = None
    OVER[0] = None


class Client:
    """Makes models of one kind, asks them in one way, and closes what they opened."""

    def __init__(self, kind: str, way: str) -> None:
        self.kind, self.way = kind, way
        self.made: list[Any] = []

    def model(self, url: str, timeout_s: float) -> Any:
        if self.kind == "langchain":
            options = {"base_url": url, "timeout_s": timeout_s, "retries": 2, "api_key_env": "FAULT_KEY"}
            self.made.append(create_model("openai:some-model", role="weak", options=options, base_dir=Path()))
            return self.made[-1]
        from autodata_adapters.models.dspy import DSPyModel

        lm = dspy.LM("openai/some-model", api_base=url, api_key=KEY, cache=False, num_retries=0)
        self.made.append(lm)
        return DSPyModel(lm, policy=CallPolicy(timeout_s=timeout_s, retries=2))

    async def ask(self, model: Any) -> ModelReply:
        messages = (Message(role="system", content="Answer."), Message(role="user", content="How many?"))
        asked = ModelRequest(role="weak", item="i", round=1, step="s", messages=messages, seed=11)
        reply = model.complete(asked) if self.way == "sync" else await model.acomplete(asked)
        assert isinstance(reply, ModelReply)
        return reply


@pytest.fixture(params=["langchain-sync", "langchain-async", "dspy-sync", "dspy-async"])
async def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("FAULT_KEY", KEY)
    made = Client(*request.param.split("-"))
    yield made
    for each in made.made:
        await each.aclose()


@pytest.mark.parametrize("row", ROWS, ids=[row.name.replace(" ", "-") for row in ROWS])
async def test_a_fault_has_its_outcome_its_number_of_calls_and_its_time(row: Row, client: Client, server: Any) -> None:
    control = await client.ask(client.model(server.url, 10.0))
    assert (control.text, control.error) == ("four", None), "the server answers when nothing is wrong"
    server.meter.clear()

    OVER[0] = server.over
    url = server.url
    if isinstance(row.fault, str):
        url = {
            "refused": f"http://127.0.0.1:{_unused_port()}/v1",
            "dns": "http://no-such-host.invalid/v1",
            "tls": server.url.replace("http:", "https:"),
        }[row.fault]
    else:
        server.fault = row.fault
    deadline_s = DEADLINE_S if row.slow else PATIENCE_S
    model = client.model(url, deadline_s)
    started = time.monotonic()
    if isinstance(row.outcome, str):
        reply = await client.ask(model)
        took_s = time.monotonic() - started
        _check_reply(row.outcome, reply)
        if not isinstance(row.fault, str):
            assert reply.usage.calls == server.calls
    else:
        with pytest.raises(row.outcome) as caught:
            await client.ask(model)
        took_s = time.monotonic() - started
        assert type(caught.value) is row.outcome
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    calls = row.calls if isinstance(row.calls, int) else row.calls[client.kind == "dspy"]
    assert server.calls == calls
    assert took_s < (deadline_s + SLACK_S if row.slow else deadline_s)
    assert not row.slow or took_s >= deadline_s * 0.9
    assert not HELD_BACK_AT or HELD_BACK_AT[1] - HELD_BACK_AT[0] >= 0.2  # Retry-After is kept


def test_every_kind_of_failure_has_a_row() -> None:
    raised = {ModelAuthError: "auth", ModelQuotaError: "quota"}
    named = {raised.get(row.outcome, "") if isinstance(row.outcome, type) else row.outcome for row in ROWS}
    by_name = {row.name: row.outcome for row in ROWS}
    assert (by_name["model unknown"], by_name["no TLS there"]) == (ModelError, ModelError)
    seen = {
        FailureKind.MODEL,
        FailureKind.TLS,
        FailureKind.UNEXPECTED,
    }  # the last is a client's own bug, not a provider's
    assert {str(kind) for kind in set(FailureKind) - seen} <= named
    assert len(ROWS) == len(by_name) > 17


def _check_reply(outcome: str, reply: ModelReply) -> None:
    if outcome.startswith("finish:"):
        assert (reply.error, reply.finish_reason) == (None, outcome.partition(":")[2])
        return
    assert reply.error is not None
    assert reply.error.startswith(f"{outcome}: "), reply.error
    assert (reply.text, "\n" in reply.error, KEY in reply.error) == ("", False, False)


def _unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
