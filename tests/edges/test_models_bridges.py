"""LangChain models, dspy's models and our port, each as each of the others."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import SecretStr

from autodata_adapters.models import langchain as langchain_models
from autodata_adapters.models.calling import CallPolicy
from autodata_adapters.models.dspy import (
    CURRENT_REQUEST,
    REPLIES,
    DSPyChatModel,
    DSPyModel,
    lm_from_langchain,
    lm_from_model,
)
from autodata_adapters.models.dspy import bridge as dspy_bridge
from autodata_adapters.models.langchain import LangChainModel, bridge
from autodata_core.errors import ModelAuthError, ModelError, ModelQuotaError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage

dspy = pytest.importorskip("dspy")
lm15 = dspy.lm15

QUICK = CallPolicy(timeout_s=5, retries=0)


def request(text: str = "q", seed: int = 5, **changes: Any) -> ModelRequest:
    messages = (Message(role="system", content="sys"), Message(role="user", content=text))
    values = {"role": "weak", "item": "i", "round": 2, "step": "s", "messages": messages, "seed": seed}
    return ModelRequest(**{**values, **changes})


class Chat(BaseChatModel):
    """Counts its calls and answers with what `answer` makes of the keyword arguments."""

    answer: Callable[[dict[str, Any]], AIMessage]
    seed: int | None = None
    max_retries: int = 6
    api_key: SecretStr = SecretStr("sk-canary")
    temperature: float = 0.5
    calls: list[Any] = []  # noqa: RUF012 - pydantic copies it; shared with copies of the model, which are shallow

    @property
    def _llm_type(self) -> str:
        return "chat"

    @cached_property
    def _client(self) -> int:
        return self.max_retries

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        self.calls.append((messages, kwargs, self._client))
        return ChatResult(generations=[ChatGeneration(message=self.answer(kwargs))])


def said(text: str = "hi", **fields: Any) -> Callable[[dict[str, Any]], AIMessage]:
    return lambda kwargs: AIMessage(content=text, **fields)


class Own:
    """A model of ours that keeps its requests."""

    def __init__(self, reply: ModelReply | Exception) -> None:
        self.reply = reply
        self.asked: list[ModelRequest] = []
        self.identity = ModelIdentity(name="own", params={"temperature": 1.0})

    def complete(self, asked: ModelRequest) -> ModelReply:
        self.asked.append(asked)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def acomplete(self, asked: ModelRequest) -> ModelReply:
        return self.complete(asked)


REPLY = ModelReply(
    text="an answer", finish_reason="stop", usage=Usage(calls=1, input_tokens=3, output_tokens=2), served="m-1"
)


class TestLangChain:
    def test_the_users_object_is_untouched_and_the_copy_neither_caches_nor_retries(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        langchain_models._warn_once.cache_clear()
        user = Chat(answer=said(), cache=InMemoryCache())
        assert user._client == 6
        with caplog.at_level(logging.WARNING):
            model = LangChainModel(user)
            LangChainModel(user)
        assert [model.complete(request(seed=n)).text for n in (1, 1)] == ["hi", "hi"]
        assert len(user.calls) == 2
        assert [client for *_, client in user.calls] == [0, 0]
        assert (user.max_retries, user._client, user.cache is not False) == (6, 6, True)
        assert len(caplog.records) == 1

    def test_the_seed_is_sent_to_models_that_take_one(self) -> None:
        user = Chat(answer=said())
        LangChainModel(user).complete(request(seed=77))
        assert user.calls[0][1] == {"seed": 77}
        plain = FakeListChatModel(responses=["x"])
        assert LangChainModel(plain).complete(request()).text == "x"

    def test_identity_has_parameters_and_messages_have_no_key(self) -> None:
        def refuse(kwargs: dict[str, Any]) -> AIMessage:
            error = RuntimeError("wrong key sk-canary")
            error.status_code = 401  # type: ignore[attr-defined]
            raise error

        model = LangChainModel(Chat(answer=refuse))
        assert model.identity.params == {"temperature": 0.5, "structured": "prompt"}
        with pytest.raises(ModelAuthError) as caught:
            model.complete(request())
        assert "sk-canary" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_reasoning_is_not_part_of_the_answer_and_a_refusal_is(self) -> None:
        blocks = [{"type": "thinking", "thinking": "secret plan"}, {"type": "text", "text": "plain"}]
        assert LangChainModel(Chat(answer=lambda k: AIMessage(content=blocks))).complete(request()).text == "plain"
        refusing = Chat(answer=said("", additional_kwargs={"refusal": "I will not"}))
        reply = LangChainModel(refusing).complete(request())
        assert (reply.text, reply.finish_reason) == ("I will not", "content_filter")

    def test_sync_models_run_side_by_side_under_async(self) -> None:
        now, most = [0], [0]
        lock = threading.Lock()

        def slow(kwargs: dict[str, Any]) -> AIMessage:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.1)
            with lock:
                now[0] -= 1
            return AIMessage(content="x")

        async def many() -> None:
            model = LangChainModel(Chat(answer=slow))
            await asyncio.gather(*(model.acomplete(request()) for _ in range(24)))

        asyncio.run(many())
        assert most[0] > 12

    def test_the_bridge_takes_chat_models_only(self) -> None:
        assert isinstance(bridge(Chat(answer=said()), "weak"), Model)
        assert bridge("openai:x", "weak") is None


class TestModelInDSPy:
    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_a_predictor_asks_our_model_with_the_request_in_force(self, way: str) -> None:
        own = Own(REPLY.model_copy(update={"text": '{"answer": "42"}'}))
        lm = lm_from_model(own)
        replies: list[ModelReply] = []
        tokens = CURRENT_REQUEST.set(request(view={"a": 1})), REPLIES.set(replies)
        try:
            with dspy.context(lm=lm, adapter=dspy.JSONAdapter(), track_usage=True):
                predict = dspy.Predict("question -> answer")
                done = predict(question="how?") if way == "sync" else asyncio.run(predict.acall(question="how?"))
        finally:
            CURRENT_REQUEST.reset(tokens[0])
            REPLIES.reset(tokens[1])
        assert done.answer == "42"
        (asked,) = own.asked
        assert (asked.role, asked.round, asked.step, asked.seed, asked.view) == ("weak", 2, "s", 5, {"a": 1})
        assert "how?" in asked.messages[-1].content
        assert asked.messages[0].role == "system"
        assert replies == [own.reply]
        assert next(iter(done.get_lm_usage().values()))["prompt_tokens"] == 3

    def test_without_a_request_equal_messages_get_distinct_seeds_in_a_fixed_order(self) -> None:
        seeds = []
        for _ in range(2):
            own = Own(REPLY)
            lm = lm_from_model(own)
            for text in ("a", "a", "b", "a"):
                lm(lm15.Request(model=lm.model, messages=(lm15.Message.user(text),)))
            seeds.append([asked.seed for asked in own.asked])
        assert seeds[0] == seeds[1]
        assert len(set(seeds[0])) == 4
        assert all(0 <= seed < 2**31 for seed in seeds[0])

    @pytest.mark.parametrize(
        ("failure", "error"),
        [
            (ModelReply(error="unreachable: x"), dspy.utils.exceptions.LMTransportError),
            (ModelReply(error="timeout: x"), dspy.utils.exceptions.LMTimeoutError),
            (ModelReply(error="server: x"), dspy.utils.exceptions.LMServerError),
            (ModelReply(error="context_length: x"), dspy.utils.exceptions.ContextWindowExceededError),
            (ModelAuthError("x"), dspy.utils.exceptions.LMAuthError),
            (ModelQuotaError("x"), dspy.utils.exceptions.LMBillingError),
            (ModelError("x"), dspy.utils.exceptions.LMUnsupportedModelError),
        ],
    )
    def test_failures_become_dspys_and_are_not_retried(self, failure: Any, error: type[Exception]) -> None:
        own = Own(failure)
        lm = lm_from_model(own)
        asked = lm15.Request(model=lm.model, messages=(lm15.Message.user("q"),))
        with pytest.raises(error):
            lm(asked)
        with pytest.raises(error):
            asyncio.run(lm.acall(asked))
        assert len(own.asked) == 2

    def test_a_copied_program_keeps_the_model_and_a_saved_one_keeps_no_secret(self, tmp_path: Any) -> None:
        user = Chat(answer=said())
        program = dspy.Predict("question -> answer")
        program.lm = lm_from_langchain(user)
        assert program.deepcopy().lm.engine is program.lm.engine
        path = tmp_path / "program.json"
        program.save(path)
        assert "canary" not in path.read_text()
        with pytest.raises(ModelError, match="set_lm"):
            dspy.Predict("question -> answer").load(path, allow_unsafe_lm_state=True)

    def test_two_models_never_share_a_name(self) -> None:
        first, second = Own(REPLY), Own(REPLY)
        second.identity = ModelIdentity(name="own", endpoint="http://elsewhere")
        assert lm_from_model(first).model != lm_from_model(second).model


class TestDSPyAsModel:
    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_it_answers_without_cache_or_history(self, way: str) -> None:
        own = Own(REPLY)
        lm = dspy.LM(
            "fake/x",
            engine=lm_from_model(own).engine,
            async_engine=lm_from_model(own)._async_engine_spec,
            temperature=0.7,
        )
        model = DSPyModel(lm, policy=QUICK)
        call = model.complete if way == "sync" else (lambda r: asyncio.run(model.acomplete(r)))
        for _ in range(2):
            reply = call(request())
            assert (reply.text, reply.finish_reason, reply.served, reply.error) == ("an answer", "stop", "m-1", None)
            assert (reply.usage.input_tokens, reply.usage.estimated) == (3, False)
        assert len(own.asked) == 2
        assert own.asked[0].messages == request().messages
        assert lm.history == []
        assert model.identity == ModelIdentity(name="fake/x", params={"temperature": 0.7})

    def test_failures_keep_their_kind_through_both_bridges(self) -> None:
        for error in (
            "unreachable: x",
            "timeout: x",
            "rate_limit: x",
            "server: x",
            "context_length: x",
            "bad_request: x",
        ):
            reply = DSPyModel(lm_from_model(Own(ModelReply(error=error))), policy=QUICK).complete(request())
            assert reply.error.startswith(error.partition(":")[0] + ":"), (error, reply.error)
        for fatal in (ModelAuthError("x"), ModelQuotaError("x"), ModelError("x")):
            with pytest.raises(type(fatal)):
                DSPyModel(lm_from_model(Own(fatal)), policy=QUICK).complete(request())

    def test_the_bridge_takes_dspys_models_only(self) -> None:
        assert isinstance(dspy_bridge(lm_from_model(Own(REPLY)), "weak"), Model)
        assert dspy_bridge(Chat(answer=said()), "weak") is None

    def test_it_is_a_langchain_chat_model_too(self) -> None:
        own = Own(REPLY)
        chat = DSPyChatModel(lm=lm_from_model(own))
        sent = [SystemMessage("sys"), HumanMessage("q")]
        for message in (chat.invoke(sent), asyncio.run(chat.ainvoke(sent))):
            assert message.text == "an answer"
            assert message.usage_metadata["input_tokens"] == 3
            assert message.response_metadata["model_name"] == "m-1"
        assert own.asked[0].messages == request().messages
        assert LangChainModel(chat).complete(request()).text == "an answer"


def test_the_entry_point_of_dspy_costs_a_langchain_user_nothing() -> None:
    code = (
        "import sys\nfrom autodata_adapters.models.dspy import bridge\n"
        "assert bridge(object(), 'weak') is None\nprint([m for m in ('dspy', 'litellm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_bridges_never_load_litellm() -> None:
    code = """
import sys
from autodata_adapters.models.dspy import DSPyModel, lm_from_model
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity

class Own:
    identity = ModelIdentity(name="own")
    def complete(self, request):
        return ModelReply(text="there and back")

asked = ModelRequest(role="weak", item="i", round=1, step="s", messages=(Message(role="user", content="q"),), seed=1)
assert DSPyModel(lm_from_model(Own())).complete(asked).text == "there and back"
print("litellm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- dspy.BaseLM ---


class Forwarding(dspy.BaseLM):
    """A language model as users wrote them before engines: `forward` in OpenAI's shape."""

    def __init__(self, given: Any, **kwargs: Any) -> None:
        super().__init__("mine", **kwargs)
        self.given, self.asked = given, []

    def forward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
        self.asked.append(messages)
        return self.given


COMPLETION = {
    "model": "mine-2",
    "choices": [{"message": {"content": "four"}, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
}


async def test_a_dspy_model_with_forward_is_a_model_and_tells_what_it_used():
    lm = Forwarding(COMPLETION, max_tokens=9, api_base="https://u:p@here/v1", api_key="sk-canary")
    model = dspy_bridge(lm, "weak")
    reply = model.complete(request())
    assert (reply.text, reply.finish_reason, reply.served) == ("four", "length", "mine-2")
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.estimated) == (3, 4, False)
    assert [m["role"] for m in lm.asked[0]] == ["system", "user"]
    assert (await model.acomplete(request())).text == "four"
    assert model.identity.params == {"max_tokens": 9}
    assert "p@" not in str(model.identity)
    assert "canary" not in str(model.identity)
    assert lm.history == []


def test_dspys_dummy_answers_behind_our_port_in_the_form_of_its_adapter():
    lm = dspy.utils.DummyLM([{"answer": "red"}, {"answer": "blue"}], adapter=dspy.JSONAdapter())
    model = dspy_bridge(lm, "weak")
    assert [json.loads(model.complete(request()).text)["answer"] for _ in range(2)] == ["red", "blue"]


def test_a_forward_of_another_shape_is_an_error_and_no_empty_answer():
    model = dspy_bridge(Forwarding(["four"]), "weak")
    with pytest.raises(ModelError, match="one choice"):
        model.complete(request())
