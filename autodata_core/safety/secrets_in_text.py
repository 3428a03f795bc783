"""Keys and passwords that stand in a text: known prefixes, tokens that can be read, key blocks, passwords in URLs."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator

from autodata_core.lazily import lazy

__all__ = ["find_secrets"]

_PLACEHOLDER = lazy(
    r"example|xxxx|\*\*\*|0000000|1234567890|abcdef|your[-_ ]?|<|\$\{|\{\{|\.\.\.|placeholder|redacted|changeme|dummy|sample",
    re.IGNORECASE,
)
_ROW = lazy(r"[A-Za-z0-9+/=]{20,}")
_DULL = {
    "password", "passwd", "pass", "pwd", "secret", "token", "user", "changeme", "hunter2", "foo", "bar", "admin", "root",
    "postgres", "guest", "test",
}  # fmt: skip


def _mixed(token: str) -> bool:
    """Return whether a token looks drawn by chance: digits and letters, and no word that says it is a placeholder."""
    tail = token[-20:]
    return (
        any(c.isdigit() for c in tail)
        and any(c.isalpha() for c in tail)
        and len(set(tail)) >= 8
        and not _PLACEHOLDER.search(token)
    )


def _jwt(token: str) -> bool:
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _real_password(url: str) -> bool:
    password = url.rsplit(":", 1)[-1].removesuffix("@")
    return (
        password.lower() not in _DULL
        and not _PLACEHOLDER.search(password)
        and not password.startswith(("[", "$", "%", "{"))
    )


def _key_body(block: str) -> bool:
    """Return whether a key follows its heading; the heading alone is what manuals quote."""
    return _ROW.search(block) is not None and not _PLACEHOLDER.search(block[20:400])


# A literal that must stand in the text, what a secret of that kind looks like, and what else must hold.
_FORMS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (needle, re.compile(pattern), holds)
    for needle, pattern, holds in (
        ("sk-", r"sk-(?<![\w-]sk-)(?:[a-z]{2,10}[0-9]{0,2}-){0,2}[A-Za-z0-9_-]{20,220}(?![\w-])", _mixed),
        ("_live_", r"(?:sk|rk|pk)_live_[A-Za-z0-9]{16,120}(?!\w)", _mixed),
        ("_test_", r"(?:sk|rk)_test_[A-Za-z0-9]{16,120}(?!\w)", _mixed),
        ("gh", r"gh[pousr]_[A-Za-z0-9]{36,255}(?!\w)", _mixed),
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{40,255}(?!\w)", _mixed),
        ("glpat-", r"glpat-[A-Za-z0-9_-]{20,64}(?![\w-])", _mixed),
        ("AKIA", r"AKIA(?<!\wAKIA)[A-Z2-7]{16}(?!\w)", _mixed),
        ("ASIA", r"ASIA(?<!\wASIA)[A-Z2-7]{16}(?!\w)", _mixed),
        ("xox", r"xox[abeoprs]-(?:[A-Za-z0-9]{1,40}-){0,4}[A-Za-z0-9]{10,64}(?![\w-])", _mixed),
        ("xapp-", r"xapp-[0-9]-[A-Z0-9]{8,20}-[0-9]{8,20}-[a-f0-9]{40,80}(?!\w)", _mixed),
        ("hooks.slack.com", r"hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{16,32}", _mixed),
        ("AIza", r"AIza(?<!\wAIza)[A-Za-z0-9_-]{35}(?![\w-])", _mixed),
        ("ya29.", r"ya29\.[A-Za-z0-9_-]{30,400}", _mixed),
        ("hf_", r"hf_(?<!\whf_)[A-Za-z0-9]{34}(?!\w)", _mixed),
        ("npm_", r"npm_[A-Za-z0-9]{36}(?!\w)", _mixed),
        ("pypi-", r"pypi-AgE[A-Za-z0-9_-]{40,300}", _mixed),
        ("SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,60}(?![\w-])", _mixed),
        ("dop_v1_", r"dop_v1_[a-f0-9]{64}(?!\w)", _mixed),
        ("gsk_", r"gsk_(?<!\wgsk_)[A-Za-z0-9]{40,64}(?!\w)", _mixed),
        ("AccountKey=", r"AccountKey=[A-Za-z0-9+/]{60,100}={0,2}", _mixed),
        ("eyJ", r"eyJ(?<![\w-]eyJ)[A-Za-z0-9_-]{8,600}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}", _jwt),
        ("://", r"://[^\s:@/'\"<>]{0,64}:[^\s:@/'\"<>]{3,128}@", _real_password),
        (
            "PRIVATE KEY-----",
            r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,.\\]|-(?!-)){20,9000}"
            r"(?:-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY-----)?",
            _key_body,
        ),
    )
)
_ASSIGNED = lazy(
    r"(?:password|passwd|pwd|api[-_]?key|secret[-_]?key|access[-_]?token|auth[-_]?token|client[-_]?secret)[\"']?"
    r"\s{0,3}[:=]{1,2}\s{0,3}[\"']([^\s\"'<>{}$]{8,128})[\"']",
    re.IGNORECASE,
)
_ASSIGNED_NAMES = ("password", "passwd", "pwd", "key", "token", "secret")


def find_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of every secret; of a URL only the password, of an assignment only what is assigned."""
    for needle, pattern, holds in _FORMS:
        if needle not in text:
            continue
        for match in pattern.finditer(text):
            if holds(match[0]):
                start = match.start()
                yield (text.rindex(":", start, match.end()) + 1, match.end() - 1) if needle == "://" else match.span()
    lowered = text.lower()
    if any(name in lowered for name in _ASSIGNED_NAMES) and ("'" in text or '"' in text):
        for match in _ASSIGNED.finditer(text):
            value = match[1]
            varied = any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and len(set(value)) >= 6
            if varied and value.lower() not in _DULL and not _PLACEHOLDER.search(value):
                yield match.span(1)
