"""Patterns that are compiled when they are first used: most programs that import the core never need most of them."""

from __future__ import annotations

import re
from typing import Any, cast

__all__ = ["lazy"]


class _Lazy:
    def __init__(self, pattern: str, flags: int) -> None:
        self._wanted = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._wanted), name)
        setattr(self, name, value)  # found at once from now on
        return value


def lazy(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return what `re.compile(pattern, flags)` gives, compiled at its first use."""
    return cast(re.Pattern[str], _Lazy(pattern, flags))
