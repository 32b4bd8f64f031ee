"""The one reader of text files that a person may have written."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_text"]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file; a byte-order mark, which some editors put first, is no part of it.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        UnicodeError: It is not UTF-8; the message says so in words.
    """
    content = Path(path).read_bytes()
    if content.startswith(_UTF_16):
        raise UnicodeError("it is UTF-16 text, expected UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UnicodeError(f"it is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}") from None
