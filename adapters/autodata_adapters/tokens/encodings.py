"""Finds tiktoken's encodings among files that are already on this machine.

tiktoken itself downloads at first use, without a timeout. Here the order is: the user's tiktoken cache, then a copy
that an installed package brings along (found without importing that package), then, only when asked, the network.
Every file is checked by its hash, for the cache may lie in a folder that others can write. No environment variable
is changed and nothing of tiktoken is patched or registered.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import importlib.util
import os
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autodata_core.errors import AutodataError

if TYPE_CHECKING:
    import tiktoken

__all__ = ["DEFAULT_ENCODING", "LoadedEncoding", "TokenizerUnavailableError", "encoding_name", "load_encoding"]

DEFAULT_ENCODING = "o200k_base"
"""Encoding of newer OpenAI models; an approximation for everybody else's."""

_DOWNLOAD_DEADLINE_S = 60.0
_MOST_BYTES = 8_000_000
"""The largest ranks file has 3.6 MB."""


class TokenizerUnavailableError(AutodataError):
    """An exact count was asked for and the encoding is not on this machine."""


@dataclass(frozen=True)
class LoadedEncoding:
    """An encoding that can be used, with a label that says where it came from."""

    encoding: tiktoken.Encoding
    label: str


@dataclass(frozen=True)
class _Definition:
    """What makes an encoding, besides its ranks. Special tokens are left out: texts are counted as plain text."""

    sha256: str
    pattern: str


_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_DEFINITIONS = {
    "o200k_base": _Definition(
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        pattern="|".join(
            [
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTIONS,
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTIONS,
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            ]
        ),
    ),
    "cl100k_base": _Definition(
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        pattern=(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
            r"|\s*[\r\n]|\s+(?!\S)|\s"
        ),
    ),
}
_SAME_RANKS = {"o200k_harmony": "o200k_base"}
"""Encodings that differ from another in special tokens only."""

_lock = threading.Lock()
_loaded: dict[str, LoadedEncoding] = {}


def encoding_name(model: str) -> str | None:
    """Return the encoding of `model`, or None when it is not one that tiktoken knows and we can load.

    `openai:gpt-4o`, `openai/gpt-4o` and `gpt-4o` mean the same.
    """
    from tiktoken.model import encoding_name_for_model

    bare = model.split(":", 1)[1] if ":" in model and not model.startswith("ft:") else model
    for name in (bare, bare.rsplit("/", 1)[-1]):
        try:
            found = encoding_name_for_model(name)
        except KeyError:
            continue
        found = _SAME_RANKS.get(found, found)
        return found if found in _DEFINITIONS else None
    return None


def load_encoding(name: str, *, allow_network: bool = False) -> LoadedEncoding:
    """Return the encoding `name`, loaded once in this process.

    Raises:
        TokenizerUnavailableError: It is not on this machine and the network is not allowed or not there.
    """
    with _lock:
        if name not in _loaded:
            _loaded[name] = _load(name, allow_network)
        return _loaded[name]


def _load(name: str, allow_network: bool) -> LoadedEncoding:
    import tiktoken

    definition = _DEFINITIONS[name]
    content, origin = _read_local(name, definition)
    if content is None and allow_network:
        content, origin = _download(name, definition), "the network"
    if content is None:
        raise TokenizerUnavailableError(
            f"The encoding {name!r} is not on this machine. Allow the network once, or set TIKTOKEN_CACHE_DIR to a "
            f"folder that holds {_cache_key(name)} (the file {_url(name)}), or install a package that brings it "
            "along (pip install 'autodata-agents[dspy]')."
        )
    ranks: dict[bytes, int] = {}
    for line in content.splitlines():
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    encoding = tiktoken.Encoding(name=name, pat_str=definition.pattern, mergeable_ranks=ranks, special_tokens={})
    return LoadedEncoding(encoding, f"{name} from {origin}")


def _url(name: str) -> str:
    return f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"


def _cache_key(name: str) -> str:
    # tiktoken's own naming of cached files, so that its cache is ours too.
    return hashlib.sha1(_url(name).encode(), usedforsecurity=False).hexdigest()


def _places(name: str) -> Iterator[tuple[Path, str]]:
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if folder := os.environ.get(variable):
            yield Path(folder) / _cache_key(name), "the tiktoken cache"
    yield Path(tempfile.gettempdir()) / "data-gym-cache" / _cache_key(name), "the tiktoken cache"
    bundled = {
        "litellm": f"litellm_core_utils/tokenizers/{_cache_key(name)}",
        "bpe_openai": f"data/{name}.tiktoken.gz",
    }
    for package, inside in bundled.items():
        try:
            spec = importlib.util.find_spec(package)  # a top-level name: looked for, not imported
        except (ImportError, ValueError):
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(folder) / inside, f"package {package}"


def _read_local(name: str, definition: _Definition) -> tuple[bytes | None, str]:
    for path, origin in _places(name):
        try:
            if not path.is_file() or path.stat().st_size > _MOST_BYTES:
                continue
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
        except (OSError, EOFError):
            continue
        if hashlib.sha256(content).hexdigest() == definition.sha256:
            return content, origin
    return None, ""


def _download(name: str, definition: _Definition) -> bytes | None:
    deadline = time.monotonic() + _DOWNLOAD_DEADLINE_S
    content = b""
    try:
        with urllib.request.urlopen(_url(name), timeout=10) as reply:  # noqa: S310 - a fixed https address
            while block := reply.read(65_536):
                content += block
                if time.monotonic() > deadline or len(content) > _MOST_BYTES:
                    return None
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != definition.sha256:
        return None
    _keep(content, next(_places(name))[0])
    return content


def _keep(content: bytes, path: Path) -> None:
    """Put a download where tiktoken looks as well. Not being able to is no error."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as half:
            half.write(content)
        os.replace(half.name, path)
