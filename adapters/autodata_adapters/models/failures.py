"""What an exception from a model's client means: may it pass, does it end the run, or is it one bad request?

SDKs are told apart by status codes, error codes and class names, so none of them is imported. Retrying is in `calling`.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from autodata_adapters.models.redaction import Redactor

__all__ = [
    "NOBODY_ANSWERED",
    "SOMEBODY_ANSWERED",
    "DeadlineError",
    "EmptyReplyError",
    "Failure",
    "FailureKind",
    "classify",
    "is_stale",
    "one_line",
    "redact",
]


class FailureKind(StrEnum):
    """Start of every `ModelReply.error`, followed by a colon: callers may match on it."""

    UNREACHABLE = "unreachable"
    """Connection refused or unknown host: nobody is there."""
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    """Somebody was there, and the connection broke."""
    RATE_LIMIT = "rate_limit"
    SERVER = "server"
    UNREADABLE = "unreadable"
    """An answer came that is not what the protocol says: no JSON, a web page, half a body."""
    EMPTY = "empty"
    """An answer came with nothing in it, twice, while the endpoint answers other questions."""
    OUTAGE = "outage"
    """The endpoint answers nobody at the moment."""
    BAD_REQUEST = "bad_request"
    """This one request was refused; the next may be fine."""
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    """The provider refused to read this request. What it refused to write is a reply with that finish reason."""
    UNEXPECTED = "unexpected"
    """An exception we know nothing about."""
    AUTH = "auth"
    QUOTA = "quota"
    MODEL = "model"
    TLS = "tls"
    """No trusted connection: a wrong certificate, or a server without encryption. The last four end the use of the model:
    `calling` raises for them."""


_MAY_PASS = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.CONNECTION,
        FailureKind.RATE_LIMIT,
        FailureKind.SERVER,
        FailureKind.UNREADABLE,
    }
)


NOBODY_ANSWERED = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.CONNECTION,
        FailureKind.SERVER,
        FailureKind.UNREADABLE,
        FailureKind.OUTAGE,
    }
)
"""Many of these in a row mean that the endpoint is down."""
SOMEBODY_ANSWERED = frozenset(
    {
        FailureKind.RATE_LIMIT,
        FailureKind.BAD_REQUEST,
        FailureKind.CONTEXT_LENGTH,
        FailureKind.CONTENT_FILTER,
        FailureKind.AUTH,
        FailureKind.QUOTA,
    }
)
"""It refused, so it is up."""


@dataclass(frozen=True)
class Failure:
    """One failed try."""

    kind: FailureKind
    message: str
    """One line, without secrets."""
    retry: bool
    """Whether the same request may succeed in a moment."""
    wait_s: float | None = None
    """How long the provider asked us to wait, None when it did not say."""
    overloaded: bool = False
    """Whether all callers of the endpoint should slow down."""


class DeadlineError(TimeoutError):
    """The total deadline of a call passed. Ours, and never retried: there is no time left."""


class EmptyReplyError(Exception):
    """The provider answered without a reply in the answer."""


_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
)
_QUOTA_WORDS = ("insufficient_quota", "credit balance is too low", "insufficient balance")
_OVERLOAD = frozenset({429, 503, 529})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "responsibleaipolicyviolation"})
_FILTER_WORDS = ("(content_filter)", "content_policy_violation", "content management policy")
_AUTH_CODES = frozenset({"invalid_api_key", "api_key_invalid"})
_AUTH_WORDS = ("api key not valid", "api_key_invalid")
_MODEL_CODES = frozenset({"model_not_found"})
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT_CLASSES = frozenset({"ContextLengthError", "ContextWindowExceededError", "ContextOverflowError"})
_CONTEXT_WORDS = ("context_length_exceeded", "maximum context length", "prompt is too long")

# Class names, most telling first; every class an exception inherits from counts. Ours are here so that a model that is
# wrapped twice (LangChain in DSPy and back) is classified alike.
_NAMES: tuple[tuple[FailureKind, frozenset[str]], ...] = (
    (FailureKind.QUOTA, frozenset({"BillingError", "LMBillingError"})),
    (FailureKind.AUTH, frozenset({"AuthError", "LMAuthError", "AuthenticationError", "PermissionDeniedError"})),
    (FailureKind.AUTH, frozenset({"NotConfiguredError", "LMNotConfiguredError"})),
    (FailureKind.MODEL, frozenset({"UnsupportedModelError", "LMUnsupportedModelError", "NotFoundError"})),
    (FailureKind.MODEL, frozenset({"ConfigurationError", "LMConfigurationError", "CapabilityError"})),
    (FailureKind.MODEL, frozenset({"LMUnsupportedFeatureError", "UnsupportedProtocol", "InvalidURL", "ImportError"})),
    (FailureKind.BAD_REQUEST, frozenset({"InvalidRequestError", "LMInvalidRequestError", "BadRequestError"})),
    (FailureKind.RATE_LIMIT, frozenset({"RateLimitError", "LMRateLimitError"})),
    (FailureKind.TIMEOUT, frozenset({"TimeoutException", "APITimeoutError", "LMTimeoutError", "TimeoutError"})),
    (FailureKind.UNREADABLE, frozenset({"JSONDecodeError", "APIResponseValidationError"})),
    (FailureKind.SERVER, frozenset({"ServerError", "LMServerError", "InternalServerError"})),
    (FailureKind.CONNECTION, frozenset({"TransportError", "LMTransportError", "APIConnectionError", "ClientError"})),
    (FailureKind.CONNECTION, frozenset({"ConnectionError", "RequestException", "NetworkError", "ProtocolError"})),
)
_NOBODY_THERE = frozenset({"ConnectError", "ConnectionRefusedError", "gaierror", "ClientConnectorError"})
_NEVER_SENT = frozenset({"UnsupportedProtocol", "InvalidURL", "TooManyRedirects"})
# What clients say when a body is not what the protocol promises, where no class of theirs tells.
_NO_CHOICES_WORDS = ("null value for 'choices'", "missing 'choices' key")
_UNREADABLE_WORDS = ("unexpected response type from openai-compatible", "response body is a json object")
_TLS_REASONS = frozenset(
    {
        "CERTIFICATE_VERIFY_FAILED",
        "HTTP_REQUEST",
        "NO_PROTOCOLS_AVAILABLE",
        "RECORD_LAYER_FAILURE",
        "UNKNOWN_PROTOCOL",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)
"""Those that come again at every call; a handshake that is cut off is a broken connection."""


def classify(
    error: BaseException,
    *,
    secrets: Iterable[str] = (),
    redactor: Redactor | None = None,
    now: datetime | None = None,
) -> Failure:
    """Return what `error`, raised by a model's client, means.

    Args:
        error: The exception as it came; its causes are looked at too.
        secrets: Exact values that must not occur in the message.
        redactor: Takes them out, in place of one made from `secrets`.
        now: Wall time, for a `Retry-After` that is a date. Default: now.
    """
    status = _status(error)
    text = _text(error)
    kind, relayed = _relayed(error), True
    if kind is None:
        kind, relayed = _kind(error, status, text), False
    said = f"HTTP {status}: {text}" if status else f"{type(error).__name__}: {text}"
    message = one_line((redactor or Redactor(secrets)).redact(said))
    # A deadline leaves no time, and an empty answer was paid for: how often to ask again is not decided by its kind.
    retry = kind in _MAY_PASS and not relayed and not isinstance(error, DeadlineError)
    overloaded = kind is FailureKind.RATE_LIMIT or (kind is FailureKind.SERVER and status in _OVERLOAD)
    wait_s = _wait_s(error, now or datetime.now(UTC))
    return Failure(kind=kind, message=message, retry=retry, wait_s=wait_s, overloaded=overloaded and not relayed)


def is_stale(error: BaseException) -> bool:
    """Return whether a client reached for a connection of an event loop that is gone. Nothing was sent; try again.

    Clients keep connections in a pool that outlives the loop, so that the second `asyncio.run` of a process meets them.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, RuntimeError) and "loop is closed" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the secrets in any form they travel in, and without user info in URLs."""
    return Redactor(secrets).redact(text)


def one_line(text: str, limit: int = 300) -> str:
    """Return `text` as one printable line of at most `limit` characters."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _kind(error: BaseException, status: int | None, text: str) -> FailureKind:
    codes = _codes(error)
    lower = text.lower()
    if status == 402 or codes & _QUOTA_CODES or _any_of(_QUOTA_WORDS, lower):
        return FailureKind.QUOTA
    if codes & _AUTH_CODES or (status == 400 and _any_of(_AUTH_WORDS, lower)):
        return FailureKind.AUTH
    if codes & _MODEL_CODES:
        return FailureKind.MODEL
    if codes & _FILTER_CODES or (status in (400, 422) and _any_of(_FILTER_WORDS, lower)):
        return FailureKind.CONTENT_FILTER
    if (
        codes & _CONTEXT_CODES
        or _class_names(error) & _CONTEXT_CLASSES
        or (status in (400, 413, 422) and _any_of(_CONTEXT_WORDS, lower))
    ):
        return FailureKind.CONTEXT_LENGTH
    if status is not None:
        return _kind_of_status(status)
    if isinstance(error, EmptyReplyError) or _any_of(_NO_CHOICES_WORDS, lower):
        return FailureKind.EMPTY
    if _any_of(_UNREADABLE_WORDS, lower):
        return FailureKind.UNREADABLE
    return _kind_of_class(error)


def _kind_of_status(status: int) -> FailureKind:
    match status:
        case 401 | 403:
            return FailureKind.AUTH
        case 404:
            return FailureKind.MODEL
        case _ if status < 400:  # a redirect that no client follows leads nowhere at the next call either
            return FailureKind.MODEL
        case 408:
            return FailureKind.TIMEOUT
        case 429:
            return FailureKind.RATE_LIMIT
        case 409 | 425:
            return FailureKind.SERVER
        case _:
            return FailureKind.SERVER if status >= 500 else FailureKind.BAD_REQUEST


def _kind_of_class(error: BaseException) -> FailureKind:
    # SDKs wrap what the socket said; only the cause tells "nobody there" from "broke half-way".
    chain = list(_chain(error))
    causes = [_class_names(cause) for cause in chain]
    for kind, names in _NAMES:
        if names & causes[0]:
            if kind is not FailureKind.CONNECTION:
                return kind
            break
    else:
        if any("JSONDecodeError" in names for names in causes):
            return FailureKind.UNREADABLE
        if not isinstance(error, OSError):
            return FailureKind.UNEXPECTED
    if any(isinstance(cause, ssl.SSLError) and cause.reason in _TLS_REASONS for cause in chain):
        return FailureKind.TLS
    if any(names & _NEVER_SENT for names in causes):
        return FailureKind.MODEL
    if any("TimeoutError" in names or "TimeoutException" in names for names in causes):
        return FailureKind.TIMEOUT
    if any(isinstance(cause, ssl.SSLError) for cause in chain):
        return FailureKind.CONNECTION
    if any(names & _NOBODY_THERE for names in causes):
        return FailureKind.UNREACHABLE
    return FailureKind.CONNECTION


def _relayed(error: BaseException) -> FailureKind | None:
    """Return the kind of an error of our own that comes back through another framework. That layer has retried already."""
    if "LMError" not in _class_names(error):
        return None  # others may begin their messages with the same words
    for cause in _chain(error):
        said = str(cause)
        said = said.partition("] ")[2] if said.startswith("[") else said  # dspy puts the model's name before it
        for kind in FailureKind:
            if said.startswith(f"{kind}: "):
                return kind
    return None


def _chain(error: BaseException, limit: int = 8) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None and limit > 0:
        yield current
        current, limit = current.__cause__ or current.__context__, limit - 1


def _class_names(error: BaseException) -> frozenset[str]:
    return frozenset(cls.__name__ for cls in type(error).__mro__)


def _any_of(words: Iterable[str], text: str) -> bool:
    return any(word in text for word in words)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status, wherever this SDK keeps it."""
    response = getattr(error, "response", None)
    places = [getattr(error, name, None) for name in ("status_code", "status", "http_status", "code")]
    places += [getattr(response, name, None) for name in ("status_code", "status")]
    places += [_body(error).get(name) for name in ("code", "status")]
    if isinstance(response, Mapping):
        places.append((response.get("ResponseMetadata") or {}).get("HTTPStatusCode"))
    for value in places:
        if isinstance(value, int) and not isinstance(value, bool) and 300 <= value <= 599:
            return int(value)
    return None


def _body(error: BaseException) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    if not isinstance(body, Mapping):
        body = error.args[0] if error.args else None  # an error inside an answer that says 200
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, Mapping) else body


def _codes(error: BaseException) -> frozenset[str]:
    body = _body(error)
    values = [getattr(error, name, None) for name in ("code", "type", "provider_code")] + [
        body.get("code"),
        body.get("type"),
    ]
    return frozenset(value.lower() for value in values if isinstance(value, str))


def _text(error: BaseException) -> str:
    message = _body(error).get("message")
    if isinstance(message, str) and message:
        return message
    said = str(error)
    if not said or said in ("Connection error.", "Request timed out."):
        causes = [str(cause) for cause in _chain(error) if str(cause) and str(cause) != said]
        said = f"{said} {causes[-1]}".strip() if causes else said
    if isinstance(error, json.JSONDecodeError):
        said = f"the answer is not JSON ({said})"
    return said or "no message"


def _wait_s(error: BaseException, now: datetime) -> float | None:
    direct = getattr(error, "retry_after", None)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if isinstance(direct, (int, float)) and not isinstance(direct, bool):
        return _sane(float(direct))
    if headers is None or not hasattr(headers, "get"):
        return None
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return _sane(millis / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
        return _sane(max(0.0, seconds))
    return None if seconds is None else _sane(seconds)


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _sane(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
