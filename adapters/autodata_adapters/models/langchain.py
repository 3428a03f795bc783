"""Any LangChain chat model as our model port. Retries, deadlines and errors are in `calling`."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from langchain_core.globals import get_llm_cache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import SecretStr

from autodata_adapters.models.calling import Ambient, CallPolicy, ResilientModel, in_thread
from autodata_adapters.models.failures import EmptyReplyError
from autodata_adapters.models.local import LocalChatModel
from autodata_adapters.models.replies import Prices, clean_text, finish_reason, text_of, usage_of
from autodata_core.errors import RecipeError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Role

__all__ = ["LangChainModel", "Structured", "bare_url", "bridge", "takes_bound"]

_log = logging.getLogger(__name__)

Structured = Literal["prompt", "json_schema"]
"""How a reply schema reaches the model: only in the prompt, or besides as an OpenAI style `response_format`."""

_ENDPOINT_FIELDS = ("openai_api_base", "azure_endpoint", "anthropic_api_url", "base_url", "api_base", "endpoint")
_PARAMETER_FIELDS = ("temperature", "top_p", "top_k", "reasoning_effort")
_BOUND_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict")
"""What LangChain's integrations call the bound on a reply, the standard name first."""
_CLIENT_PROPERTIES = ("_client", "_async_client")


class LangChainModel(ResilientModel):
    """A `BaseChatModel` behind our port. The object that was passed is left as it is; a copy without cache is asked."""

    def __init__(
        self,
        model: BaseChatModel,
        *,
        name: str = "",
        endpoint: str | None = None,
        served: str = "",
        params: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        structured: Structured = "prompt",
        accepts_seed: bool | None = None,
        prices: Prices | None = None,
        policy: CallPolicy | None = None,
        secrets: Iterable[str] = (),
        key_hint: str = "",
        ambient: Ambient | None = None,
        aclose: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Wrap a chat model.

        Args:
            model: The chat model.
            name: As in the recipe. Default: its class and model name.
            endpoint: Base URL. Default: what the model's fields say.
            served: Fixed answer to "which model was that", such as the hash of a weights file.
            params: What identifies it besides. Default: what the model's fields say.
            temperature: Sent with every call when given, else the model's own counts.
            max_tokens: The same; under the name that the model's class has for it.
            structured: Whether the reply schema is sent natively; for `LocalChatModel` it always is.
            accepts_seed: Whether `seed=` is sent. Default: when the class has a field of that name.
            prices: USD per million tokens.
            policy: Deadline, tries, bound on calls in flight.
            secrets: Values to keep out of messages, besides the model's own keys.
            key_hint: Where the key comes from.
            ambient: Clock, sleep and chance.
            aclose: Closes the model's connections at the end of a run, when they are its own.
        """
        if structured not in get_args(Structured):
            raise RecipeError(f"structured is 'prompt' or 'json_schema'; got {structured!r}.")
        _warn_of_cache(model)
        self._local = isinstance(model, LocalChatModel)
        self._model = _for_sampling(model)
        self._prices = prices or Prices()
        self._native_schema = self._local or structured == "json_schema"
        self._accepts_seed = _takes_seed(model) if accepts_seed is None else accepts_seed
        self._has_async = self._local or type(model)._agenerate is not BaseChatModel._agenerate
        self._fixed: dict[str, Any] = {}
        if temperature is not None:
            self._fixed["temperature"] = temperature
        field = _bound_field(model) or "max_tokens"
        if max_tokens is not None and field == "max_tokens":
            self._fixed["max_tokens"] = max_tokens
        elif max_tokens is not None:  # others have another name for it, and take it as a field
            self._model = self._model.model_copy(update={field: max_tokens})
        known = _parameters(self._model) if params is None else dict(params)
        how = "json_schema" if self._native_schema else "prompt"
        identity = ModelIdentity(
            name=name or _name_of(model),
            endpoint=bare_url(_endpoint_of(model) if endpoint is None else endpoint),
            served=served,
            params={**known, **self._fixed, **_bound_param(self._model, self._fixed), "structured": how},
        )
        keys = (*secrets, *_keys_of(model))
        super().__init__(identity, policy=policy, secrets=keys, key_hint=key_hint, ambient=ambient)
        self._aclose = aclose

    async def aclose(self) -> None:
        """Close the connections that this model owns, in the event loop that used them. The end: nothing is asked after it."""
        if self._aclose is None:
            return
        with contextlib.suppress(RuntimeError):  # connections of a loop that is gone cannot be closed
            await self._aclose()

    def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
        try:
            message = self._model.invoke(_messages(request.messages), **self._arguments(request, left_s))
        except IndexError as error:
            raise EmptyReplyError("the answer has no choices") from error
        except Exception as error:  # noqa: BLE001 - raised again unless a reply is inside
            message = _cut_message(error)
        return self._reply(request, message)

    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        if not self._has_async:
            return await in_thread(functools.partial(self._once, request, left_s))
        try:
            message = await self._model.ainvoke(_messages(request.messages), **self._arguments(request, left_s))
        except IndexError as error:
            raise EmptyReplyError("the answer has no choices") from error
        except Exception as error:  # noqa: BLE001 - raised again unless a reply is inside
            message = _cut_message(error)
        return self._reply(request, message)

    def _arguments(self, request: ModelRequest, left_s: float) -> dict[str, Any]:
        arguments = dict(self._fixed)
        if self._accepts_seed:
            arguments["seed"] = request.seed
        if self._native_schema and request.response_schema is not None:
            named = {"name": "reply", "schema": request.response_schema}
            arguments["response_format"] = {"type": "json_schema", "json_schema": named}
        if self._local:
            # In process nobody hangs up for us: without this an abandoned answer would go on using the cores.
            arguments["timeout_s"] = left_s
        return arguments

    def _reply(self, request: ModelRequest, message: AIMessage) -> ModelReply:
        meta = message.response_metadata or {}
        said: Mapping[str, Any] = message.usage_metadata or {}
        text, finish = text_of(message.content), finish_reason(_first(meta, "finish_reason", "stop_reason"))
        refusal = message.additional_kwargs.get("refusal")
        if not text and isinstance(refusal, str) and refusal:
            text, finish = clean_text(refusal), "content_filter"
        counts = (said.get("input_tokens"), said.get("output_tokens"))
        usage = usage_of(*counts, asked=request.messages, text=text, prices=self._prices)
        served = self._identity.served or str(_first(meta, "model_name", "model") or "")
        return ModelReply(text=text, finish_reason=finish, usage=usage, served=clean_text(served)[:200])


def bridge(obj: object, role: Role) -> Model | None:
    """Return our port for a LangChain chat model, None for anything else (entry point `autodata.models`)."""
    return LangChainModel(obj) if isinstance(obj, BaseChatModel) else None


def takes_bound(model: BaseChatModel) -> bool:
    """Return whether the model has a setting for the length of replies, and none is made."""
    return _bound_field(model) is not None and _own_bound(model) is None


def bare_url(url: str) -> str:
    """Return a URL without user info, query and fragment, any of which may hold a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _messages(messages: Iterable[Message]) -> list[BaseMessage]:
    kinds: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return [kinds[message.role](content=clean_text(message.content)) for message in messages]


def _cut_message(error: Exception) -> AIMessage:
    """Return the reply inside the exception of an SDK that refuses to parse one that was cut; else raise it again."""
    choices = getattr(getattr(error, "completion", None), "choices", None)
    if not choices:
        raise error
    usage = getattr(error, "completion").usage  # noqa: B009 - the attribute is the SDK's, not Exception's
    asked, written = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    message = AIMessage(
        content=choices[0].message.content or "", response_metadata={"finish_reason": choices[0].finish_reason}
    )
    if isinstance(asked, int) and isinstance(written, int):
        message.usage_metadata = {"input_tokens": asked, "output_tokens": written, "total_tokens": asked + written}
    return message


def _for_sampling(model: BaseChatModel) -> BaseChatModel:
    """Return a copy that answers every call anew and tries once: our layer retries, and a cached sample is no sample."""
    update: dict[str, Any] = {"cache": False}
    if "max_retries" in type(model).model_fields:
        update["max_retries"] = 0
    # OpenAI's clients were built with the old number; their copies share the connection pool.
    for root_name, name in (("root_client", "client"), ("root_async_client", "async_client")):
        root = getattr(model, root_name, None)
        if root is not None and hasattr(root, "with_options"):
            update[root_name] = root.with_options(max_retries=0)
            update[name] = update[root_name].chat.completions
    copy = model.model_copy(update=update)
    if "max_retries" in update:
        # Others build their client at first use and keep it.
        for name in _CLIENT_PROPERTIES:
            if isinstance(getattr(type(model), name, None), functools.cached_property):
                copy.__dict__.pop(name, None)
    return copy


@functools.lru_cache(maxsize=1)
def _warn_once() -> None:
    _log.warning(
        "A response cache is set for LangChain; it is not used here, since it would give every attempt the same answer."
    )


def _warn_of_cache(model: BaseChatModel) -> None:
    if model.cache or (model.cache is None and get_llm_cache() is not None):
        _warn_once()


def _takes_seed(model: BaseChatModel) -> bool:
    return "seed" in type(model).model_fields and not getattr(model, "use_responses_api", False)


def _name_of(model: BaseChatModel) -> str:
    called = next((v for n in ("model_name", "model", "model_id") if isinstance(v := getattr(model, n, None), str)), "")
    return f"{type(model).__name__}:{called}" if called else type(model).__name__


def _endpoint_of(model: BaseChatModel) -> str:
    return next((v for name in _ENDPOINT_FIELDS if isinstance(v := getattr(model, name, None), str)), "")


def _parameters(model: BaseChatModel) -> dict[str, Any]:
    found = {name: getattr(model, name, None) for name in _PARAMETER_FIELDS}
    return {name: value for name, value in found.items() if isinstance(value, (int, float, str))}


def _bound_param(model: BaseChatModel, sent: Mapping[str, Any]) -> dict[str, int]:
    """Return the bound on replies as the identity has it, under one name whatever the class calls it."""
    bound = sent.get("max_tokens", _own_bound(model))
    return {} if bound is None else {"max_tokens": bound}


def _bound_field(model: BaseChatModel) -> str | None:
    """Return the field in which the model's class keeps the bound on a reply."""
    return next((name for name in _BOUND_FIELDS if name in type(model).model_fields), None)


def _own_bound(model: BaseChatModel) -> int | None:
    """Return the most tokens of a reply that the model asks for, None when it sets no bound (-1 is Ollama's for none)."""
    values = (getattr(model, name, None) for name in _BOUND_FIELDS if name in type(model).model_fields)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v > 0), None)


def _keys_of(model: BaseChatModel) -> list[str]:
    """Return the values of the model's secret fields, to keep them out of messages."""
    values = [getattr(model, name, None) for name in type(model).model_fields]
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def _first(meta: Mapping[str, Any], *names: str) -> object:
    return next((meta[name] for name in names if meta.get(name)), None)
