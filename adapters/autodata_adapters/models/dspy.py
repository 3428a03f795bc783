"""dspy's language models as our model port, and our port as a language model of dspy's. Only `lm15` and engines are used.

dspy is imported when it is needed, so that a look at this module's entry point costs a LangChain user nothing; litellm never.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from autodata_adapters.models.calling import Ambient, CallPolicy, ResilientModel
from autodata_adapters.models.langchain import LangChainModel, bare_url
from autodata_adapters.models.replies import Prices, clean_text, finish_reason, text_of, usage_of
from autodata_core.errors import MissingExtraError, ModelAuthError, ModelError, ModelQuotaError, shorten
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Role, canonical_json

if TYPE_CHECKING:
    import dspy

__all__ = [
    "CURRENT_REQUEST",
    "REPLIES",
    "DSPyChatModel",
    "DSPyModel",
    "ForwardModel",
    "bound_of",
    "bridge",
    "lm_from_langchain",
    "lm_from_model",
]

CURRENT_REQUEST: ContextVar[ModelRequest | None] = ContextVar("autodata_current_request", default=None)
"""What a call of an engine is for. Its messages are replaced by those that dspy's adapter made."""

REPLIES: ContextVar[list[ModelReply] | None] = ContextVar("autodata_replies", default=None)
"""Where an engine leaves whole replies, in call order, when the caller put a list there."""

_CLIENT_SETTINGS = frozenset(
    {
        "api_key",
        "api_base",
        "base_url",
        "api_version",
        "timeout",
        "headers",
        "extra_headers",
        "rollout_id",
        "n",
        "cache",
    }
)
"""Keyword arguments of an LM that say how to reach the model, not what to ask it."""
_BOUNDS = ("max_tokens", "max_completion_tokens")
_PARAMETERS = ("temperature", *_BOUNDS, "top_p", "reasoning_effort")


class DSPyModel(ResilientModel):
    """A `dspy.LM` behind our port: dspy's cache and retries are off, and history is not kept."""

    def __init__(
        self,
        lm: dspy.LM,
        *,
        name: str = "",
        accepts_seed: bool = False,
        prices: Prices | None = None,
        policy: CallPolicy | None = None,
        secrets: Iterable[str] = (),
        key_hint: str = "",
        ambient: Ambient | None = None,
    ) -> None:
        """Wrap a language model.

        Args:
            lm: The language model; it is copied, and its engine and connection are shared.
            name: As in the recipe. Default: the LM's model name.
            accepts_seed: Whether the provider takes a seed.
            prices: USD per million tokens.
            policy: Deadline, tries, bound on calls in flight.
            secrets: Values to keep out of messages, besides the LM's key.
            key_hint: Where the key comes from.
            ambient: Clock, sleep and chance.
        """
        # dspy's cache key leaves the endpoint out, so an answer could be credited to a model that never gave it.
        self._lm = lm.copy(cache=False, num_retries=0)
        self._prices = prices or Prices()
        self._accepts_seed = accepts_seed
        settings: Mapping[str, Any] = lm.kwargs
        self._settings = {k: v for k, v in settings.items() if k not in _CLIENT_SETTINGS and v is not None}
        endpoint = settings.get("api_base") or settings.get("base_url") or ""
        identity = ModelIdentity(
            name=name or str(lm.model),
            endpoint=bare_url(str(endpoint)),
            params={k: self._settings[k] for k in _PARAMETERS if k in self._settings},
        )
        key = settings.get("api_key")
        keys = (*secrets, key) if isinstance(key, str) else tuple(secrets)
        super().__init__(identity, policy=policy, secrets=keys, key_hint=key_hint, ambient=ambient)

    def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
        import dspy

        with dspy.context(disable_history=True):
            return self._reply(request, self._lm(self._sent(request), rollout_id=request.seed))

    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        import dspy

        with dspy.context(disable_history=True):
            return self._reply(request, await self._lm.acall(self._sent(request), rollout_id=request.seed))

    def _sent(self, request: ModelRequest) -> Any:
        from dspy import lm15

        messages = [{"role": m.role, "content": clean_text(m.content)} for m in request.messages]
        body: dict[str, Any] = {**self._settings, "model": self._lm.model, "messages": messages}
        if self._accepts_seed:
            body["seed"] = request.seed
        return lm15.request_from_openai_chat(body)

    def _reply(self, request: ModelRequest, response: Any) -> ModelReply:
        text, said = clean_text(response.text or ""), response.usage
        counts = (getattr(said, "input_tokens", None), getattr(said, "output_tokens", None))
        return ModelReply(
            text=text,
            finish_reason=finish_reason(response.finish_reason),
            usage=usage_of(*counts, asked=request.messages, text=text, prices=self._prices),
            served=clean_text(str(response.model or ""))[:200],
        )


class ForwardModel(ResilientModel):
    """A `dspy.BaseLM` that is no `dspy.LM`, such as `DummyLM` or a class of one's own with `forward`, behind our port.

    Its `forward` is called as it is, past dspy's cache, retries and history; what it returns has OpenAI's shape.
    """

    def __init__(self, lm: dspy.BaseLM, *, policy: CallPolicy | None = None, ambient: Ambient | None = None) -> None:
        """Wrap a language model.

        Args:
            lm: The language model; it is copied, and what it holds is shared.
            policy: Deadline, tries, bound on calls in flight.
            ambient: Clock, sleep and chance.
        """
        self._lm = lm.copy(cache=False, num_retries=0)
        params = {k: v for k in _PARAMETERS if (v := lm.kwargs.get(k)) is not None}
        endpoint, key = lm.kwargs.get("api_base") or lm.kwargs.get("base_url") or "", lm.kwargs.get("api_key")
        identity = ModelIdentity(name=str(lm.model), endpoint=bare_url(str(endpoint)), params=params)
        super().__init__(identity, policy=policy, secrets=(key,) if isinstance(key, str) else (), ambient=ambient)

    def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
        return self._reply(request, self._lm.forward(messages=self._messages(request)))

    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        import dspy

        if type(self._lm).aforward is dspy.BaseLM.aforward:  # it answers in a thread or not at all
            return await asyncio.to_thread(self._once, request, left_s)
        return self._reply(request, await self._lm.aforward(messages=self._messages(request)))

    def _messages(self, request: ModelRequest) -> list[dict[str, str]]:
        return [{"role": m.role, "content": clean_text(m.content)} for m in request.messages]

    def _reply(self, request: ModelRequest, response: Any) -> ModelReply:
        choice = next(iter(_at(response, "choices") or ()), None)
        if choice is None:
            raise ModelError(
                f"`forward` of {self.identity.name!r} returned {shorten(response)}; expected what OpenAI's chat endpoint "
                "returns, with one choice."
            )
        text = clean_text(str(_at(_at(choice, "message"), "content") or _at(choice, "text") or ""))
        used = _at(response, "usage")
        counts = (_at(used, "prompt_tokens"), _at(used, "completion_tokens"))
        return ModelReply(
            text=text,
            finish_reason=finish_reason(_at(choice, "finish_reason")),
            usage=usage_of(*counts, asked=request.messages, text=text, prices=Prices()),
            served=clean_text(str(_at(response, "model") or ""))[:200],
        )


def _at(value: Any, name: str) -> Any:
    """Return a part of what a provider gave, which may be an object or a mapping; None where there is none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def bridge(obj: object, role: Role) -> Model | None:
    """Return our port for a `dspy.LM` or another `dspy.BaseLM`, None for anything else (entry point `autodata.models`)."""
    dspy = sys.modules.get("dspy")
    if dspy is None:
        return None  # nobody has an object of a package that was never imported
    if isinstance(obj, getattr(dspy, "LM", ())):
        return DSPyModel(obj)
    return ForwardModel(obj) if isinstance(obj, getattr(dspy, "BaseLM", ())) else None


def bound_of(lm: dspy.LM) -> int | None:
    """Return the most tokens of a reply that the LM asks for, None when it sets no bound."""
    return next((v for name in _BOUNDS if isinstance(v := lm.kwargs.get(name), int)), None)


def lm_from_model(model: Model, name: str | None = None) -> dspy.LM:
    """Return a `dspy.LM` that asks `model`. Temperature and the like are the model's own; dspy's are not passed on.

    Args:
        model: Any model behind our port.
        name: Model name in dspy. Default: made from the identity, so that two models never share a name.
    """
    try:
        import dspy
    except ImportError as error:
        raise MissingExtraError("dspy", "dspy", "A dspy.LM") from error

    digest = hashlib.sha256(canonical_json(model.identity.to_json()).encode()).hexdigest()
    return dspy.LM(
        name or f"autodata/{model.identity.name}#{digest[:12]}",
        engine=ModelEngine(model),
        async_engine=AsyncModelEngine(model),
        cache=False,
        num_retries=0,
    )


def lm_from_langchain(chat_model: BaseChatModel, name: str | None = None) -> dspy.LM:
    """Return a `dspy.LM` that asks a LangChain chat model."""
    return lm_from_model(LangChainModel(chat_model), name)


class _Engine:
    """The part that both engines share: from dspy's request to ours, and the reply back."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Engine:
        # Optimizers deep-copy programs with their LMs; a copied model would lose its bound on calls and its connections.
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return the model's name for a saved program: no key, no endpoint."""
        return {"model": self._model.identity.name}

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> _Engine:
        raise ModelError(
            f"A saved program cannot bring the model {state.get('model')!r} back: call program.set_lm(...) after loading it."
        )

    def _request(self, sent: Any) -> ModelRequest:
        messages = tuple(_messages_of(sent))
        current = CURRENT_REQUEST.get()
        if current is not None:
            return current.model_copy(update={"messages": messages})
        digest = hashlib.sha256(canonical_json([m.to_json() for m in messages]).encode()).hexdigest()
        with self._lock:
            # dspy keeps its rollout ids to itself; that the same messages come again is what tells samples apart.
            again = self._asked[digest]
            self._asked[digest] += 1
        seed = sent.config.seed
        if seed is None:
            seed = int(hashlib.sha256(f"{digest}:{again}".encode()).hexdigest()[:8], 16)
        return ModelRequest(
            role="challenger",
            item=f"dspy-{digest[:12]}",
            round=1,
            attempt=again,
            step="dspy",
            messages=messages,
            seed=seed & 0x7FFFFFFF,
        )

    def _response(self, sent: Any, reply: ModelReply) -> Any:
        from dspy import lm15

        replies = REPLIES.get()
        if replies is not None:
            replies.append(reply)
        if reply.error is not None:
            raise _lm_error(reply.error)
        usage = lm15.Usage(
            input_tokens=reply.usage.input_tokens,
            output_tokens=reply.usage.output_tokens,
            total_tokens=reply.usage.input_tokens + reply.usage.output_tokens,
        )
        finish = reply.finish_reason if reply.finish_reason in ("length", "content_filter") else "stop"
        message = lm15.Message.assistant(reply.text)
        return lm15.Response(
            id=None, model=reply.served or sent.model, message=message, finish_reason=finish, usage=usage
        )


class ModelEngine(_Engine):
    """Our port as dspy's engine."""

    def complete(self, request: Any) -> Any:
        try:
            reply = self._model.complete(self._request(request))
        except ModelError as error:
            raise _fatal(error) from error
        return self._response(request, reply)


class AsyncModelEngine(_Engine):
    """The same for dspy's async calls."""

    async def complete(self, request: Any) -> Any:
        try:
            reply = await self._model.acomplete(self._request(request))
        except ModelError as error:
            raise _fatal(error) from error
        return self._response(request, reply)


class DSPyChatModel(BaseChatModel):
    """A `dspy.LM` as a LangChain chat model, text only. dspy's cache is off."""

    lm: Any

    @property
    def _llm_type(self) -> str:
        return "dspy"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.lm.model}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _chat_result(self.lm(self._sent(messages, stop, kwargs), cache=False))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _chat_result(await self.lm.acall(self._sent(messages, stop, kwargs), cache=False))

    def _sent(self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]) -> Any:
        from dspy import lm15

        roles = {"system": "system", "human": "user", "ai": "assistant"}
        odd = next((m.type for m in messages if m.type not in roles), None)
        if odd is not None:
            raise lm15.UnsupportedFeatureError(
                f"A dspy.LM behind LangChain takes text only, not a message of type {odd!r}."
            )
        body = {k: v for k, v in self.lm.kwargs.items() if k not in _CLIENT_SETTINGS and v is not None}
        body |= {k: kwargs[k] for k in ("temperature", "max_tokens", "top_p", "seed") if kwargs.get(k) is not None}
        if stop:
            body["stop"] = list(stop)
        body["model"] = self.lm.model
        body["messages"] = [{"role": roles[m.type], "content": text_of(m.content)} for m in messages]
        return lm15.request_from_openai_chat(body)


def _chat_result(response: Any) -> ChatResult:
    meta = {"model_name": response.model, "finish_reason": response.finish_reason}
    message = AIMessage(content=response.text or "", response_metadata=meta)
    asked, written = response.usage.input_tokens, response.usage.output_tokens
    if asked is not None and written is not None:
        message.usage_metadata = {"input_tokens": asked, "output_tokens": written, "total_tokens": asked + written}
    return ChatResult(generations=[ChatGeneration(message=message)])


def _messages_of(sent: Any) -> Iterable[Message]:
    if sent.system is not None:
        system = sent.system if isinstance(sent.system, str) else "".join(part.text for part in sent.system)
        yield Message(role="system", content=system)
    for message in sent.messages:
        role = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}.get(message.role)
        if role is None:
            from dspy import lm15

            raise lm15.UnsupportedFeatureError(
                f"An autodata model takes text only, not a message of role {message.role!r}."
            )
        yield Message(role=role, content=message.text or "")


def _lm_error(error: str) -> Exception:
    """Return what dspy understands for the error of a reply. Our layer retried already, and the LM has `num_retries=0`."""
    from dspy import lm15

    kinds: dict[str, type[Exception]] = {
        "unreachable": lm15.TransportError,
        "connection": lm15.TransportError,
        "timeout": lm15.TimeoutError,
        "rate_limit": lm15.RateLimitError,
        "bad_request": lm15.InvalidRequestError,
        "context_length": lm15.ContextLengthError,
    }
    return kinds.get(error.partition(":")[0], lm15.ServerError)(error)


def _fatal(error: ModelError) -> Exception:
    from dspy import lm15

    match error:
        case ModelAuthError():
            made: Exception = lm15.AuthError(str(error))
        case ModelQuotaError():
            made = lm15.BillingError(str(error))
        case _:
            made = lm15.UnsupportedModelError(str(error))
    return made
