"""A ceiling in money holds over real HTTP: the server keeps its own books, and writes as long as nobody stops it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from autodata_adapters.models import calling, create_model
from autodata_adapters.models.langchain import LangChainModel
from autodata_adapters.models.slots import Endpoints
from autodata_core.budget import Budget, BudgetSpentError
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.errors import BudgetError
from autodata_core.ports import Model, ModelRequest
from autodata_core.records import Message

pytest.importorskip("langchain_openai")
dspy = pytest.importorskip("dspy")

PRICE_IN, PRICE_OUT = 3.0, 15.0
CAP_USD = 0.5
LONG = 50_000
"""Tokens that the server writes where it is told no bound; most of them are thoughts, which nobody sees."""
NAMES = ("max_tokens", "max_completion_tokens")

SAYS: dict[str, Any] = {
    "the truth": lambda asked, written: {"prompt_tokens": asked, "completion_tokens": written},
    "nothing": lambda asked, written: None,
    "less than nothing": lambda asked, written: {"prompt_tokens": -5, "completion_tokens": -(10**6)},
    "nonsense": lambda asked, written: {"prompt_tokens": 10**12, "completion_tokens": 10**12},
    "words": lambda asked, written: {"prompt_tokens": "many", "completion_tokens": None},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Biller

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tokens_in, written = self.server.bill(asked)
        if self.server.says == "nothing at all":  # billed, and the line is cut
            self.close_connection = True
            return
        usage = SAYS[self.server.says](tokens_in, written)
        if usage is not None:
            usage["total_tokens"] = 1
        message = {"role": "assistant", "content": "four"}
        body = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "length" if written < LONG else "stop"}],
            "usage": usage,
        }
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        """Tests are quiet."""


class Biller(ThreadingHTTPServer):
    """Bills what a call really used, and says what it likes about it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, says: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says, self.billed_usd, self.bounds = says, 0.0, []
        self.lock = threading.Lock()
        self.bounds: list[dict[str, int]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def bill(self, asked: dict[str, Any]) -> tuple[int, int]:
        """Charge a token for each byte that was asked, the worst there is, and the longest reply it was not told to cut."""
        bounds = {name: asked[name] for name in NAMES if name in asked}
        tokens_in = sum(len(m["content"].encode()) + 4 for m in asked["messages"])
        written = min(LONG, *bounds.values()) if bounds else LONG
        with self.lock:
            self.bounds.append(bounds)
            self.billed_usd += (tokens_in * PRICE_IN + written * PRICE_OUT) / 1e6
        return tokens_in, written


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "ENDPOINTS", Endpoints())
    monkeypatch.setattr(calling, "_FIRST_WAIT_S", 0.01)


@pytest.fixture
def biller(request: pytest.FixtureRequest) -> Iterator[Biller]:
    server = Biller(getattr(request, "param", "the truth"))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def request(n: int = 0) -> ModelRequest:
    messages = (Message(role="system", content="Answer."), Message(role="user", content=f"How many? {n}"))
    return ModelRequest(role="weak", item="i", round=1, attempt=n, step=f"s{n}", messages=messages, seed=n)


def langchain(server: Biller, **options: Any) -> Any:
    chosen = {"base_url": server.url, "timeout_s": 10.0, "retries": 1, **options}
    return create_model("openai:some-model", role="weak", options=chosen, base_dir=Path())


def of_dspy(server: Biller, folder: Path, model: str = "openai/some-model", **options: Any) -> Any:
    """Return a `dspy.LM` object of a module beside the recipe."""
    name = f"lm_{folder.name.replace('-', '_').replace('[', '').replace(']', '')}"
    arguments = f"{model!r}, api_base={server.url!r}, api_key='not-needed'"
    (folder / f"{name}.py").write_text(f"import dspy\nLM = dspy.LM({arguments})\n")
    return create_model(f"{name}:LM", role="weak", options={"timeout_s": 10.0, **options}, base_dir=folder)


async def spend(model: Model, budget: Budget, workers: int, mode: str) -> int:
    """Ask until the budget is spent; return how many calls were answered."""
    paid = JournaledModel(model, NoJournal(), budget, PRICE_IN, PRICE_OUT)
    numbers = list(range(40))

    def work(_: int) -> int:
        made = 0
        while numbers:
            try:
                made += paid.complete(request(numbers.pop())).error is None
            except (BudgetSpentError, IndexError):
                break
        return made

    async def awork() -> int:
        made = 0
        while numbers:
            try:
                made += (await paid.acomplete(request(numbers.pop()))).error is None
            except BudgetSpentError:
                break
        return made

    if mode == "async":
        return sum(await asyncio.gather(*(awork() for _ in range(workers))))
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(work, range(workers)))


@pytest.mark.parametrize("biller", [*SAYS, "nothing at all"], indirect=True)
@pytest.mark.parametrize("workers", [1, 8, 64, 128])
@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_the_bill_of_a_server_never_passes_the_budget(biller: Biller, workers: int, mode: str) -> None:
    """Without a `max_tokens` in the recipe: the first reply would cost more than the budget has."""
    model, budget = langchain(biller), Budget(usd=CAP_USD)
    made = await spend(model, budget, workers, mode)
    assert biller.bounds == [{"max_tokens": 4096}] * len(biller.bounds)
    assert len(biller.bounds) == 8  # one is reserved at $0.0617 and billed at $0.0616
    assert made == (0 if biller.says == "nothing at all" else 8)
    assert biller.billed_usd <= budget.spent.cost_usd + 1e-9
    assert budget.spent.cost_usd <= CAP_USD
    assert budget.in_flight == 0
    await model.aclose()


@pytest.mark.parametrize("biller", ["nothing"], indirect=True)
@pytest.mark.parametrize("workers", [1, 64])
async def test_it_holds_through_dspy(biller: Biller, workers: int, tmp_path: Path) -> None:
    budget = Budget(usd=CAP_USD)
    assert await spend(of_dspy(biller, tmp_path), budget, workers, "sync") == 8
    assert {4096} == {bound for sent in biller.bounds for bound in sent.values()}
    assert biller.billed_usd <= budget.spent.cost_usd <= CAP_USD


async def test_the_control_without_a_bound_one_reply_costs_more_than_the_budget(biller: Biller) -> None:
    """What the tests above keep from happening, happens where nothing is sent."""
    from langchain_openai import ChatOpenAI

    bare = LangChainModel(ChatOpenAI(model="m", base_url=biller.url, api_key="not-needed"))
    await JournaledModel(bare, NoJournal(), Budget(calls=1), PRICE_IN, PRICE_OUT).acomplete(request())
    assert biller.bounds == [{}]
    assert biller.billed_usd > CAP_USD
    with pytest.raises(BudgetError, match="'ChatOpenAI:m' is told none"):
        JournaledModel(bare, NoJournal(), Budget(usd=CAP_USD), PRICE_IN, PRICE_OUT)


# What is sent, and what the identity says of it.


def told(model: Any, server: Biller) -> tuple[dict[str, int], Any]:
    assert model.complete(request()).error is None
    return server.bounds[-1], model.identity.params.get("max_tokens", model.identity.params.get(NAMES[1]))


def test_the_recipe_goes_before_the_bound_of_ours(biller: Biller, tmp_path: Path) -> None:
    assert told(langchain(biller, max_tokens=77), biller) == ({"max_tokens": 77}, 77)
    sent, known = told(of_dspy(biller, tmp_path, max_tokens=77), biller)
    assert (list(sent.values()), known) == ([77], 77)


def test_a_model_that_thinks_has_a_longer_bound_under_the_name_it_takes(biller: Biller, tmp_path: Path) -> None:
    options = {"base_url": biller.url, "timeout_s": 10.0}
    model = create_model("openai:gpt-5-mini", role="weak", options=options, base_dir=tmp_path)
    assert told(model, biller) == ({"max_completion_tokens": 16_384}, 16_384)
    sent, known = told(of_dspy(biller, tmp_path, "openai/gpt-5-mini"), biller)
    assert (list(sent.values()), known) == ([16_384], 16_384)


OBJECTS = """
from langchain_openai import ChatOpenAI
FREE = ChatOpenAI(model="m", base_url={url!r}, api_key="not-needed")
BOUND = ChatOpenAI(model="m", base_url={url!r}, api_key="not-needed", max_tokens=55)
"""


def test_an_object_keeps_its_own_bound_and_is_given_one_where_it_has_none(biller: Biller, tmp_path: Path) -> None:
    (tmp_path / "chat_objects.py").write_text(OBJECTS.format(url=biller.url))

    def made(name: str, **options: Any) -> Any:
        return create_model(f"chat_objects:{name}", role="weak", options=options, base_dir=tmp_path)

    assert told(made("FREE"), biller) == ({"max_completion_tokens": 4096}, 4096)
    assert told(made("BOUND"), biller) == ({"max_completion_tokens": 55}, 55)
    assert told(made("BOUND", max_tokens=7), biller) == ({"max_completion_tokens": 7}, 7)


class OtherName(GenericFakeChatModel):
    """As LangChain's integration of a provider that has a name of its own for the bound."""

    num_predict: int | None = None

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        assert "max_tokens" not in kwargs
        return super()._generate(*args, **kwargs)


@pytest.mark.parametrize(("own", "given", "bound"), [(None, 9, 9), (5, None, 5), (5, 9, 9), (-1, None, None)])
def test_a_bound_goes_under_the_name_of_the_class(own: int | None, given: int | None, bound: int | None) -> None:
    model = OtherName(messages=iter([AIMessage("four")]), num_predict=own)
    wrapped = LangChainModel(model, max_tokens=given)
    assert wrapped.complete(request()).text == "four"
    assert wrapped.identity.params.get("max_tokens") == bound
    assert wrapped._model.num_predict == (own if bound is None else bound)


def test_an_object_that_cannot_be_told_a_bound_is_refused_under_a_ceiling(tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text(
        "from langchain_core.language_models import FakeListChatModel\nMODEL = FakeListChatModel(responses=['four'])\n"
    )
    model = create_model("deaf:MODEL", role="weak", options={"price_out": 1.0}, base_dir=tmp_path)
    with pytest.raises(BudgetError, match=r"'deaf:MODEL' is told none\. Set its max_tokens"):
        JournaledModel(model, NoJournal(), Budget(usd=1.0), price_out=1.0)
    JournaledModel(model, NoJournal(), Budget(usd=1.0))  # where it is free, no reply is too long
