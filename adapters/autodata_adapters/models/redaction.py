"""Keeps secrets out of every text that leaves: messages, replies, log records. The one place that knows how a key may look.

A secret is found by its exact value in any encoding it may travel in, and a key we were never told of by its prefix.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import threading
import traceback
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["MASK", "Redactor", "guard_logs", "known_secrets", "secrets_of_url"]

MASK = "[secret]"

_SHORTEST = 4
"""Shorter values are no keys, and taking them out would make messages unreadable. Ours."""
_SHORTEST_ENCODED = 8
"""From here on base64 and hexadecimal forms are long enough to be told from chance. Ours."""
_SHORTEST_CUT = 20
"""From here on the first half of a secret, as in a message that was cut, counts as the secret. Ours."""

_WORD = r"[A-Za-z0-9_\-]"
_PREFIXES = (
    rf"sk-{_WORD}{{16,}}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    rf"AIza{_WORD}{{30,}}",  # Google
    rf"ya29\.{_WORD}{{16,}}",
    rf"gsk_{_WORD}{{16,}}",  # Groq
    rf"xai-{_WORD}{{16,}}",
    rf"hf_{_WORD}{{16,}}",
    rf"r8_{_WORD}{{16,}}",  # Replicate
    rf"pplx-{_WORD}{{16,}}",
    rf"nvapi-{_WORD}{{16,}}",
    rf"csk-{_WORD}{{16,}}",  # Cerebras
    rf"fw_{_WORD}{{16,}}",
    rf"lsv2_{_WORD}{{16,}}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    rf"(?:ghp|gho|ghs|ghu|github_pat)_{_WORD}{{16,}}",
    rf"eyJ{_WORD}{{8,}}\.{_WORD}{{8,}}\.{_WORD}{{8,}}",  # a signed token
)
_KEYS = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_PREFIXES)})")
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/\-]{12,}=*")
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")

_SECRET_VARIABLE = re.compile(r"(?:^|_)(?:API_?KEY|ACCESS_KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:_ID)?$")
_PROVIDERS = (
    *("OPENAI", "ANTHROPIC", "AZURE", "GOOGLE", "GEMINI", "MISTRAL", "GROQ", "COHERE", "CO_", "TOGETHER", "FIREWORKS"),
    *(
        "DEEPSEEK",
        "XAI",
        "OPENROUTER",
        "PERPLEXITY",
        "PPLX",
        "NVIDIA",
        "CEREBRAS",
        "REPLICATE",
        "HF_",
        "HUGGING",
        "AWS",
    ),
    *("WATSONX", "LANGSMITH", "LANGCHAIN", "DATABRICKS", "BEDROCK", "VERTEX", "OLLAMA", "VLLM", "LITELLM"),
)
"""How the names of their variables begin."""
_LONGEST_VARIABLE = 4096

_PUBLIC_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-type", "content-length", "host", "openai-beta", "user-agent"}
)


def known_secrets(
    variables: Iterable[str] = (),
    *,
    headers: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> frozenset[str]:
    """Return the exact values that must not leave.

    Args:
        variables: Names of environment variables that hold a key, as `api_key_env` gives them.
        headers: Headers sent to a provider; each value counts, with and without its scheme, unless its name is a public one.
        environ: The environment. Default: that of this process. Keys, tokens and passwords of model providers in it count too.
    """
    found: set[str] = set()
    environment = os.environ if environ is None else environ
    named = frozenset(variables)
    for name, value in environment.items():
        ours = name.upper().startswith(_PROVIDERS) and _SECRET_VARIABLE.search(name.upper()) is not None
        if name in named or (ours and len(value.strip()) >= _SHORTEST_ENCODED):
            found.add(value.strip())
    for name, value in (headers or {}).items():
        if name.lower() not in _PUBLIC_HEADERS and isinstance(value, str):
            found |= {value.strip(), value.strip().rpartition(" ")[2]}
    return frozenset(value for value in found if _SHORTEST <= len(value) <= _LONGEST_VARIABLE)


def secrets_of_url(url: str) -> Iterator[str]:
    """Yield the password of a URL, as it stands and decoded, and the token that clients make of it. User names are not secret."""
    parts = urllib.parse.urlsplit(url)
    if parts.password:
        password = urllib.parse.unquote(parts.password)
        yield parts.password
        yield password
        yield base64.b64encode(f"{urllib.parse.unquote(parts.username or '')}:{password}".encode()).decode()


class Redactor:
    """Replaces secrets in a text. Made once, since the forms of a secret are compiled."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted({s for s in secrets if len(s) >= _SHORTEST}, key=lambda s: (-len(s), s))
        forms = [form for value in values for form in _forms(value)]
        self._exact = re.compile("|".join(forms)) if forms else None

    def redact(self, text: str) -> str:
        """Return `text` without the secrets in any form, without what looks like a key, without user info in URLs."""
        clean = _USER_INFO.sub("", self.redact_exact(text))
        return _KEYS.sub(MASK, _BEARER.sub(rf"\1\2{MASK}", clean))

    def redact_exact(self, text: str) -> str:
        """Return `text` without the secrets themselves; whatever else it holds stays, as in the answer of a model."""
        return text if self._exact is None else self._exact.sub(MASK, text)


def _forms(secret: str) -> Iterator[str]:
    """Yield patterns for the secret: as it stands or escaped, cut, in base64 at each alignment, in hexadecimal."""
    characters = [_character(c) for c in secret]
    if len(secret) >= _SHORTEST_CUT:
        half = len(secret) // 2
        yield f"{''.join(characters[:half])}(?:{''.join(characters[half:])}|{_WORD}*)"
    else:
        yield "".join(characters)
    raw = secret.encode("utf-8", "replace")
    if len(raw) < _SHORTEST_ENCODED:
        return
    for before in range(3):
        # What stands before and after shares characters with the secret; those in between are the secret's own.
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        own = encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        pattern = "".join({"+": "(?:[+-]|%2[Bb])", "/": r"(?:[/_]|%2[Ff]|\\/)"}.get(c, c) for c in own)
        yield f"[A-Za-z0-9+/_-]{{0,2}}{pattern}[A-Za-z0-9+/_-]{{0,2}}(?:=|%3[Dd]){{0,2}}"
    yield f"(?i:{raw.hex()})"


def _character(c: str) -> str:
    """Return a pattern for one character: plain, or as a URL (once or twice), JSON or HTML may write it."""
    forms = [re.escape(c)]
    if not (c.isascii() and c.isalnum()):
        quoted = "".join(f"%(?:25)?(?i:{byte:02x})" for byte in c.encode("utf-8", "replace"))
        forms += [quoted, rf"\\u(?i:{ord(c):04x})", rf"\\{re.escape(c)}"]
    forms += {
        " ": [r"\+"],
        "&": ["&amp;"],
        "<": ["&lt;"],
        ">": ["&gt;"],
        '"': ["&quot;"],
        "'": ["&#39;", "&#x27;"],
    }.get(c, [])
    return forms[0] if len(forms) == 1 else f"(?:{'|'.join(forms)})"


class _Guard(logging.Filter):
    """Rewrites records of the clients' loggers, which write URLs and options as they are."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: frozenset[str] = frozenset()
        self._redactor = Redactor()
        self._lock = threading.Lock()

    def learn(self, secrets: Iterable[str]) -> None:
        with self._lock:
            merged = self._secrets | frozenset(secrets)
            if merged != self._secrets:
                self._secrets, self._redactor = merged, Redactor(merged)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            return True  # logging reports it in its own way
        clean = self._redactor.redact(said)
        if clean != said:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = self._redactor.redact("".join(traceback.format_exception(record.exc_info[1])).rstrip())
            record.exc_info = None
        return True


_GUARD = _Guard()
_CLIENT_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "openai",
    "openai._base_client",
    "anthropic",
    "anthropic._base_client",
    "urllib3.connectionpool",
    "LiteLLM",
    "dspy.clients.lm",
)


def guard_logs(secrets: Iterable[str]) -> None:
    """Keep `secrets` out of what HTTP clients and SDKs log, from now on and for every handler."""
    _GUARD.learn(secrets)
    for name in _CLIENT_LOGGERS:
        logger = logging.getLogger(name)
        if _GUARD not in logger.filters:
            logger.addFilter(_GUARD)
