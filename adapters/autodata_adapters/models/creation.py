"""From a line in a recipe to a model: `local:`, `program:`, `package.module:OBJECT` or `provider:model`.

How each kind is called is in the file named after it. Everything heavy is imported where it is needed.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from autodata_adapters.models.calling import CallPolicy
from autodata_adapters.models.failures import one_line, redact
from autodata_adapters.models.redaction import known_secrets, secrets_of_url
from autodata_adapters.models.replies import Prices
from autodata_adapters.objects import ObjectNotFoundError, is_object_path, load_object
from autodata_core.errors import MissingExtraError, ModelAuthError, ModelError, RecipeError, shorten
from autodata_core.ports import Model
from autodata_core.records import Role
from autodata_core.roles import ROLES

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

    from autodata_adapters.models.langchain import Structured

__all__ = ["bridge_spec", "create_model"]

_TEMPERATURE: dict[Role, float] = dict.fromkeys(ROLES, 0.0) | dict.fromkeys(("challenger", "weak", "strong"), 1.0)
"""Attempts must differ, judgements must not. Ours."""

_REPLY_TOKENS = 4096
"""Bound on a reply where neither the recipe nor the model's object sets one, since no ceiling holds without. Ours: replies
of the loop have some hundred tokens, and smaller contexts than 8k would refuse more."""
_THINKING_REPLY_TOKENS = 16_384
"""The same for models that think before they write: thoughts count. Ours."""

_FIXED_TEMPERATURE = re.compile(r"^(o[1345]|gpt-5(\.\d+)*)(?!-chat)(-|$)")
"""Models of OpenAI that think, and refuse any temperature but their own, so that a role's default is not sent to them."""

_PLACEHOLDER_KEY = "not-needed"


@dataclass(frozen=True)
class _Options:
    """`[models.options.ROLE]`, checked."""

    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    timeout_s: float = 120.0
    retries: int = 3
    max_concurrency: int | None = None
    price_in: float | None = None
    price_out: float | None = None
    structured: str | None = None
    n_ctx: int | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> _Options:
        known = [f.name for f in fields(cls)]
        for key, value in options.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                secret = " A key is named by api_key_env, never written down." if "key" in key else ""
                hint = f" Did you mean {near[0]!r}?" if near and not secret else ""
                raise RecipeError(f"Unknown model option {key!r}.{secret}{hint} Known: {', '.join(known)}.")
            wanted = str if key in ("base_url", "api_key_env", "structured") else (int, float)
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise RecipeError(f"Model option {key} has the wrong type: {shorten(value)}.")
            if key in ("max_tokens", "max_concurrency", "n_ctx", "retries") and not isinstance(value, int):
                raise RecipeError(f"Model option {key} is a whole number, got {shorten(value)}.")
        return cls(**options)

    @property
    def policy(self) -> CallPolicy:
        return CallPolicy(timeout_s=self.timeout_s, retries=self.retries, max_concurrency=self.max_concurrency)

    @property
    def prices(self) -> Prices:
        return Prices(self.price_in, self.price_out)

    def key(self) -> str | None:
        """Return the API key, None when no variable is named.

        Raises:
            ModelAuthError: The variable is not set.
        """
        if self.api_key_env is None:
            return None
        value = os.environ.get(self.api_key_env, "").strip()
        if not value:
            raise ModelAuthError(
                f"The environment variable {self.api_key_env} is not set; api_key_env names it. Set it to the key."
            )
        return value


def create_model(spec: str, *, role: Role, base_dir: Path, options: Mapping[str, Any] | None = None) -> Model:
    """Return the model that a recipe names.

    Args:
        spec: `local:smollm2`, `local:PATH.gguf`, `program:NAME`, `package.module:OBJECT` (a model of ours, a LangChain chat
            model, a `dspy.LM`, or a function without arguments that returns one) or `provider:model` as LangChain's
            `init_chat_model` takes it.
        role: Who it plays; sets the temperature where the recipe does not.
        base_dir: Folder of the recipe: paths and modules are looked up from there.
        options: `base_url`, `api_key_env`, `temperature`, `max_tokens`, `timeout_s`, `retries`, `max_concurrency`, `price_in`,
            `price_out`, `structured`, `n_ctx`; a program takes its own.

    Raises:
        RecipeError: The spec or an option is wrong.
        ModelError: The model cannot be made: no key, no weights, unknown provider.
        MissingExtraError: A package is missing.
    """
    head, colon, rest = spec.partition(":")
    if not colon or not head or not rest:
        raise RecipeError(
            f"A model is written provider:model, local:smollm2, program:NAME or package.module:OBJECT; got {shorten(spec)}."
        )
    given = dict(options or {})
    if head == "program":
        from autodata_adapters.models.programs import create_program

        return create_program(rest, {k: v for k, v in given.items() if k not in {f.name for f in fields(_Options)}})
    chosen = _Options.read(given)
    if head == "local":
        return _local(spec, rest, role, chosen, base_dir)
    if is_object_path(spec, base_dir):
        return _object(spec, role, chosen, base_dir)
    return _provided(spec, head, rest, role, chosen)


def bridge_spec(value: object, role: Role) -> Model | None:
    """Return the model of a spec, with default options and paths from the working folder; None for what is no text."""
    return create_model(value, role=role, base_dir=Path.cwd()) if isinstance(value, str) else None


def _local(spec: str, what: str, role: Role, options: _Options, base_dir: Path) -> Model:
    from autodata_adapters.models import weights
    from autodata_adapters.models.langchain import LangChainModel
    from autodata_adapters.models.llama import engines
    from autodata_adapters.models.local import LocalChatModel

    is_path = what.endswith(".gguf") or "/" in what or "\\" in what
    path = (base_dir / Path(what).expanduser()) if is_path else weights.path_for(what)
    chosen = {"temperature": _temperature(role, options), "max_tokens": options.max_tokens, "n_ctx": options.n_ctx}
    model = LocalChatModel(weights=path, **{k: v for k, v in chosen.items() if v is not None})
    digest = weights.sha256_of(path)
    if not is_path and digest != weights.KNOWN[what].sha256:
        raise ModelError(f"The weights at {str(path)!r} are damaged. Run: autodata models pull {what}")
    policy = CallPolicy(options.timeout_s, options.retries, options.max_concurrency or engines())
    return LangChainModel(
        model,
        name=spec,
        endpoint="",
        served=digest,
        params={
            "temperature": model.temperature,
            "max_tokens": model.max_tokens,
            "n_ctx": model.n_ctx,
            "runtime": f"xllamacpp {importlib.metadata.version('xllamacpp')}",
        },
        structured="json_schema",
        prices=options.prices,
        policy=policy,
    )


def _provided(spec: str, provider: str, name: str, role: Role, options: _Options) -> Model:
    from autodata_adapters.models.langchain import LangChainModel, bare_url

    key = options.key()
    keys = {key or "", *secrets_of_url(options.base_url or "")}
    temperature = options.temperature
    thinks = provider in ("openai", "azure_openai") and _FIXED_TEMPERATURE.match(name) is not None
    if temperature is None and not thinks:
        temperature = _TEMPERATURE[role]
    if key is None and provider == "openai" and options.base_url:
        # A server of one's own takes any key; the one for OpenAI is not for its eyes.
        key = _PLACEHOLDER_KEY
    # OpenAI's client has a new name for the bound, which many servers that are not OpenAI's refuse or pass over.
    as_written = provider == "openai" and options.base_url is not None and not thinks
    bound = {"max_tokens": options.max_tokens or _REPLY_TOKENS if as_written else options.max_tokens}
    arguments = {
        "base_url": options.base_url,
        "api_key": key,
        "temperature": temperature,
        **({"extra_body": bound} if as_written else bound),
        "timeout": options.timeout_s,  # ends the threads of calls that were given up
        "max_retries": 0,
    }
    client = _own_client(provider)
    arguments |= {"http_async_client": client}
    model = _init_chat_model(spec, provider, name, {k: v for k, v in arguments.items() if v is not None}, keys)
    params = {"temperature": temperature, **bound}
    return LangChainModel(
        model,
        name=spec,
        endpoint=bare_url(options.base_url or ""),
        params={k: v for k, v in params.items() if v is not None},
        max_tokens=None if as_written else _missing_bound(model, thinks=thinks),
        structured=cast("Structured", options.structured or "prompt"),
        prices=options.prices,
        policy=options.policy,
        secrets=keys,
        key_hint=f"Check the environment variable {options.api_key_env}." if options.api_key_env else "",
        aclose=None if client is None else client.aclose,
    )


def _own_client(provider: str) -> Any:
    """Return an HTTP client that can be closed with its run; the one that langchain shares outlives every event loop."""
    if provider != "openai" or importlib.util.find_spec("openai") is None:
        return None
    from openai import DefaultAsyncHttpxClient

    return DefaultAsyncHttpxClient()


def _init_chat_model(spec: str, provider: str, name: str, arguments: dict[str, Any], keys: set[str]) -> BaseChatModel:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtraError("langchain", "openai", f"The model {spec!r}") from error
    try:
        made: BaseChatModel = init_chat_model(name, model_provider=provider, **arguments)
    except ImportError as error:
        if provider == "openai":
            raise MissingExtraError("langchain-openai", "openai", f"The model {spec!r}") from error
        raise ModelError(f"The model {spec!r} cannot be made: {one_line(str(error))}") from error
    except Exception as error:  # noqa: BLE001 - each provider's package raises its own
        refused = redact(str(error), keys | known_secrets())
    else:
        return made
    # Outside of the handler, since what a provider's package raises may hold the key and would go along as the context.
    said = one_line(refused)
    if "api_key" in said.lower() or "api key" in said.lower() or "credentials" in said.lower():
        raise ModelAuthError(f"No key for the model {spec!r}: {said}. Set api_key_env to the name of a variable.")
    if "Unsupported provider" in said:
        raise RecipeError(
            f"There is no provider {provider!r} and no module of that name beside the recipe, in the model {spec!r}. "
            f"{_nearest_provider(provider, refused)}"
        )
    raise ModelError(f"The model {spec!r} cannot be made: {said}")


def _nearest_provider(provider: str, said: str) -> str:
    listed = re.findall(r"[a-z_0-9]+", said.partition("are:")[2])
    near = difflib.get_close_matches(provider, [*listed, "local", "program"], n=1)
    return f"Did you mean {near[0]!r}?" if near else "Examples: openai:MODEL, local:smollm2, my.module:model."


def _object(spec: str, role: Role, options: _Options, base_dir: Path) -> Model:
    found = _load(spec, base_dir)
    model = _bridged(found, spec, role, options)
    if model is None and callable(found) and not _needs_arguments(found):
        found = found()
        model = _bridged(found, spec, role, options)
    if model is None:
        raise RecipeError(
            f"{spec!r} is a {type(found).__name__}, not a model. Wanted: a LangChain chat model, a dspy.LM, a model of ours, "
            "or a function without arguments that returns one."
        )
    return model


def _bridged(obj: Any, spec: str, role: Role, options: _Options) -> Model | None:
    """Return our port for `obj`, with the recipe's options, or None when it is not a model."""
    if isinstance(obj, type):
        return None
    if isinstance(obj, Model):
        return obj
    from langchain_core.language_models.chat_models import BaseChatModel

    hint = "Its key is set where the object is made."
    if isinstance(obj, BaseChatModel):
        from autodata_adapters.models.langchain import LangChainModel

        return LangChainModel(
            obj,
            name=spec,
            temperature=options.temperature,
            max_tokens=options.max_tokens or _missing_bound(obj),
            prices=options.prices,
            policy=options.policy,
            secrets=_header_secrets({name: getattr(obj, name, None) for name in type(obj).model_fields}),
            key_hint=hint,
        )
    dspy = sys.modules.get("dspy")
    if dspy is not None and isinstance(obj, dspy.LM):
        from autodata_adapters.models.dspy import DSPyModel, bound_of

        thinks = "max_completion_tokens" in obj.kwargs  # dspy's name for it where the model does
        bound = options.max_tokens
        if bound is None and bound_of(obj) is None:
            bound = _THINKING_REPLY_TOKENS if thinks else _REPLY_TOKENS
        changed = {"temperature": options.temperature, "max_completion_tokens" if thinks else "max_tokens": bound}
        lm = obj.copy(**{k: v for k, v in changed.items() if v is not None})
        secrets = _header_secrets(lm.kwargs)
        return DSPyModel(lm, name=spec, prices=options.prices, policy=options.policy, secrets=secrets, key_hint=hint)
    return _foreign(obj, role)


def _missing_bound(model: BaseChatModel, *, thinks: bool = False) -> int | None:
    """Return the bound on replies that the model lacks; None where it has its own, or cannot be told any."""
    from autodata_adapters.models.langchain import takes_bound

    if not takes_bound(model):
        return None
    return _THINKING_REPLY_TOKENS if thinks else _REPLY_TOKENS


def _foreign(obj: Any, role: Role) -> Model | None:
    """Ask the bridges that other packages registered."""
    for entry in importlib.metadata.entry_points(group="autodata.models"):
        if not entry.value.startswith("autodata_adapters."):
            bridge: Callable[[object, Role], Model | None] = entry.load()
            model = bridge(obj, role)
            if model is not None:
                return model
    return None


def _load(spec: str, base_dir: Path) -> Any:
    try:
        return load_object(spec, base_dir)
    except ObjectNotFoundError as error:
        raise RecipeError(f"The model {spec!r}: {error}") from error


def _needs_arguments(call: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _temperature(role: Role, options: _Options) -> float:
    return _TEMPERATURE[role] if options.temperature is None else options.temperature


def _header_secrets(settings: Mapping[str, Any]) -> frozenset[str]:
    """Return what an object's settings send along as headers."""
    headers = [value for name, value in settings.items() if "headers" in name and isinstance(value, Mapping)]
    return frozenset(secret for each in headers for secret in known_secrets(headers=each, environ={}))
