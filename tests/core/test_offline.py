"""The control of the control: tests cannot reach the network, and loopback still works."""

from __future__ import annotations

import os
import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443)])
def test_a_socket_to_the_outside_is_refused(address: tuple[str, int]) -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="offline"):
        outside.connect(address)
    with pytest.raises(RuntimeError, match="offline"):
        socket.create_connection(address, timeout=1)


def test_a_name_outside_is_not_even_looked_up() -> None:
    with pytest.raises(RuntimeError, match="offline"):
        socket.getaddrinfo("example.org", 443)


def test_loopback_works() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


def test_libraries_neither_phone_home_nor_unpickle() -> None:
    assert os.environ["LANGGRAPH_STRICT_MSGPACK"] == "true"
    assert os.environ["ANONYMIZED_TELEMETRY"] == "False"
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert "autodata-tests-" in os.environ["DSPY_CACHEDIR"]
