"""Makes the checkpointer of an app safe for our state: a checkpoint gives back plain values, exactly, and runs nothing.

LangGraph's own default calls whatever a checkpoint names, and writes `?` for half a character. Which checkpointer an app
uses, and where it keeps it, is the app's own business.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from autodata_core.errors import RecordError, StoreError, shorten

__all__ = ["StrictSerializer", "strict"]

SaverT = TypeVar("SaverT", bound=BaseCheckpointSaver[Any])

_OUR_JSON = "autodata-json"
"""Tag of a plain value that msgpack would change or refuse."""
_KINDS = frozenset({"null", "bytes", "bytearray", "msgpack", _OUR_JSON})
"""What is read back. Not `json` and `pickle`, which LangGraph no longer writes, and which make objects."""


class StrictSerializer(JsonPlusSerializer):
    """LangGraph's serializer with an allow-list, whatever the environment says, that changes no plain value.

    Reads JSON values, the few types of LangGraph and langchain-core that are known to be harmless (messages, `Send`,
    `Interrupt`, dates), and the types that are named; everything else comes back as the plain values it was made of.

    Args:
        allow: Types of the app's own state; each may be constructed from what a checkpoint says.
    """

    def __init__(self, allow: Iterable[type] = ()) -> None:
        super().__init__(allowed_msgpack_modules=[(kind.__module__, kind.__qualname__) for kind in allow] or None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the tag and the bytes of a value."""
        if _msgpack_would_change(obj):
            return _OUR_JSON, json.dumps(obj, ensure_ascii=True).encode("ascii")
        return super().dumps_typed(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of a tag and its bytes.

        Raises:
            StoreError: The tag is of a kind that is not read.
        """
        kind, content = data
        if kind == _OUR_JSON:
            return json.loads(content)  # without a hook: a dictionary stays a dictionary, whatever its keys
        if kind not in _KINDS:
            raise StoreError(
                f"The checkpoint holds a value of kind {shorten(kind)}, which is not read because reading it could run "
                f"code. Kinds: {', '.join(sorted(_KINDS))}. Start the thread anew."
            )
        return super().loads_typed(data)


def strict(saver: SaverT, *, allow: Iterable[type] = ()) -> SaverT:
    """Return a checkpointer that keeps what `saver` keeps, in the same place, and revives nothing.

    Works with every saver that keeps its serializer in `serde`: `InMemorySaver`, `SqliteSaver`, `AsyncSqliteSaver`,
    `PostgresSaver`, `AsyncPostgresSaver`. One that encrypts goes on encrypting.

    Args:
        saver: As the app made it; open and close it as before.
        allow: Types of the app's own state besides plain JSON.

    Raises:
        RecordError: It is no checkpointer, or has a serializer of a kind that cannot be made strict.
    """
    if not isinstance(saver, BaseCheckpointSaver):
        raise RecordError(f"strict() takes a checkpointer of LangGraph, got {shorten(saver)}.")
    made = copy.copy(saver)
    made.serde = _strict_twin(saver.serde, tuple(allow))
    if hasattr(made, "jsonplus_serde"):  # the SQLite savers have a second one
        made.jsonplus_serde = StrictSerializer(allow)
    return made


def _strict_twin(serializer: Any, allow: tuple[type, ...]) -> Any:
    if isinstance(serializer, EncryptedSerializer):
        return EncryptedSerializer(serializer.cipher, _strict_twin(serializer.serde, allow))
    if type(serializer) in (JsonPlusSerializer, StrictSerializer):
        return StrictSerializer(allow)
    raise RecordError(
        f"The checkpointer's serializer {type(serializer).__name__} is not LangGraph's own, so nobody knows what it "
        "revives. Make the checkpointer without serde=, or with serde=StrictSerializer()."
    )


def _msgpack_would_change(value: Any) -> bool:
    """Return whether a value is plain JSON, and has half a character or an integer above 64 bits somewhere."""
    odd = False
    rest = [value]
    while rest:
        value = rest.pop()
        kind = type(value)
        if kind is str:
            odd = odd or not (value.isascii() or _is_whole(value))
        elif kind is int:
            odd = odd or not -(2**63) <= value < 2**64
        elif kind is list:
            rest.extend(value)
        elif kind is dict:
            if not all(type(key) is str for key in value):
                return False
            rest.extend(value)
            rest.extend(value.values())
        elif not (value is None or kind is bool or kind is float):
            return False
    return odd


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
