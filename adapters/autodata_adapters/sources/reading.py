"""Bytes of one file, and text from bytes. Which files, and what is in them, is decided elsewhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from autodata_core.errors import SourceError

__all__ = ["MOST_BYTES", "NotTextError", "decode_text", "read_bytes"]

MOST_BYTES = 50 * 1024 * 1024
"""Largest file that is read. A larger one is better split: a challenger reads a source whole."""


class NotTextError(SourceError):
    """The bytes are no text; among other documents such a file is skipped."""


def read_bytes(path: Path, name: str) -> bytes:
    """Return the content of a regular file; a link is followed to what it names.

    Args:
        path: The file.
        name: How messages call it.

    Raises:
        SourceError: It is missing, not a regular file, too large, or may not be read.
    """
    try:
        # Not blocking: opening a named pipe would wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise SourceError(f"Source {name!r} does not exist. Check the path under [sources] files.") from error
    except OSError as error:
        raise SourceError(f"Source {name!r} cannot be read: {error.strerror}. Check its permissions.") from error
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise SourceError(f"Source {name!r} is not a regular file. Name a text file or a folder.")
        if facts.st_size > MOST_BYTES:
            raise SourceError(f"Source {name!r} has {facts.st_size:,} bytes, {MOST_BYTES:,} is the most. Split it.")
        try:
            content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise SourceError(f"Source {name!r} cannot be read: {error.strerror}.") from error
    if len(content) > MOST_BYTES:
        raise SourceError(f"Source {name!r} grew while it was read. Load it again when it is complete.")
    return content


def decode_text(content: bytes, name: str) -> str:
    """Return the text of UTF-8 bytes, without a byte order mark.

    Raises:
        NotTextError: There is a NUL byte, or the bytes are not UTF-8.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotTextError(f"Source {name!r} is UTF-16 text. Save it as UTF-8.")
    if b"\0" in content:
        raise NotTextError(f"Source {name!r} is a binary file (it holds a NUL byte). Convert it to text.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotTextError(f"Source {name!r} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
