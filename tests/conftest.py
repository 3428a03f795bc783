"""Every test runs offline, by force: sockets reach nothing but this machine, and no library sends or caches anything.

The settings are made before any host framework is imported, because several read them at import.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

_SCRATCH = Path(tempfile.mkdtemp(prefix="autodata-tests-"))

os.environ.update(
    LANGGRAPH_STRICT_MSGPACK="true",
    DSPY_CACHEDIR=str(_SCRATCH / "dspy"),
    ANONYMIZED_TELEMETRY="False",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    HYPOTHESIS_STORAGE_DIRECTORY=str(_SCRATCH / "hypothesis"),
)
for _name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
    os.environ.pop(_name, None)

from hypothesis import HealthCheck, settings  # noqa: E402 - reads its storage folder at import

settings.register_profile(
    "offline",
    deadline=None,  # a busy machine is no failure; time is bounded where it is the promise
    derandomize=True,
    database=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("offline")

# The scripted worlds as a module, whatever folder pytest was started in.
_WORLDS = importlib.util.spec_from_file_location("autodata_test_worlds", Path(__file__).parent / "worlds.py")
assert _WORLDS is not None
assert _WORLDS.loader is not None
sys.modules["autodata_test_worlds"] = importlib.util.module_from_spec(_WORLDS)
_WORLDS.loader.exec_module(sys.modules["autodata_test_worlds"])

_LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", ""}


class OfflineError(RuntimeError):
    """A test tried to reach the network."""


def _refuse_outside(address: Any) -> None:
    host = address[0] if isinstance(address, tuple) else None  # a Unix socket has a path and stays on this machine
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is not None and host not in _LOOPBACK and not str(host).startswith("127."):
        raise OfflineError(f"Tests run offline, but something connects to {address!r}.")


@pytest.fixture(autouse=True, scope="session")
def _offline() -> Any:
    """Let sockets reach loopback only, in every thread."""
    patch = pytest.MonkeyPatch()
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    sendto, lookup = socket.socket.sendto, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        _refuse_outside(address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_outside(address)
        return connect_ex(self, address)

    def checked_sendto(self: socket.socket, *args: Any) -> int:
        _refuse_outside(args[-1])
        return sendto(self, *args)

    def checked_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_outside((host if host is not None else "localhost",))
        return lookup(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", checked_connect)
    patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
    patch.setattr(socket.socket, "sendto", checked_sendto)
    patch.setattr(socket, "getaddrinfo", checked_lookup)
    yield
    patch.undo()


_CACHES: list[Any] = []


def pytest_runtest_setup() -> None:
    """Keep LangChain's HTTP clients: it caches them by address, and drops the oldest unclosed after 128 loopback servers."""
    clients = sys.modules.get("langchain_openai.chat_models._client_utils")
    for name in ("_cached_sync_httpx_client", "_cached_async_httpx_client"):
        cached = getattr(clients, name, None)
        if cached is not None and cached.cache_info().maxsize is not None:
            _CACHES.append(cached)  # with what is in it
            setattr(clients, name, functools.lru_cache(maxsize=None)(cached.__wrapped__))
