"""Reads text files that a person may have written."""

from __future__ import annotations

from pathlib import Path

__all__ = ["decoded", "read_text"]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | Path) -> str:
    """Reads a UTF-8 file, without the byte-order mark that some editors put first.

    Raises:
        FileNotFoundError: The file does not exist.
        OSError: The file cannot be read.
        UnicodeError: The file is not UTF-8; the message says so in words.
    """
    return decoded(Path(path).read_bytes())


def decoded(content: bytes) -> str:
    """Returns the text of a UTF-8 file's content; see `read_text`.

    Raises:
        UnicodeError: It is not UTF-8.
    """
    if content.startswith(_UTF_16):
        raise UnicodeError("it is UTF-16 text, expected UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnicodeError(f"it is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}") from None
