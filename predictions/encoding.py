"""Turns the bytes of a file, as they arrive, into UTF-8 text with LF line ends, or says why they are no CSV."""

from __future__ import annotations

import codecs

from predictions.errors import Unreadable, UnsupportedType
from predictions.line_ends import line_count

_KINDS = {
    b"PK\x03\x04": "This is a zip or Excel file. Save the sheet as CSV UTF-8 and upload that.",
    b"\xd0\xcf\x11\xe0": "This is an old Excel file. Save the sheet as CSV UTF-8 and upload that.",
    b"\x1f\x8b": "This is a gzip file. Unpack it and upload the CSV inside; compressed files are not taken.",
    b"BZh91AY": "This is a bzip2 file. Unpack it and upload the CSV inside; compressed files are not taken.",
    b"\x28\xb5\x2f\xfd": "This is a zstd file. Unpack it and upload the CSV inside; compressed files are not taken.",
    b"\xfd7zXZ": "This is an xz file. Unpack it and upload the CSV inside; compressed files are not taken.",
    b"PAR1\x15": "This is a Parquet file, sent as CSV. Send it as application/vnd.apache.parquet.",
    b"%PDF-": "This is a PDF file. Upload the table as CSV UTF-8.",
    b"\x93NUMPY": "This is a NumPy file, sent as CSV. Send it as application/x-npy.",
    b"ARROW1\0\0": "This is an Arrow file, sent as CSV. Send it as application/octet-stream.",
}
_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LONGEST_MARK = 8
_CURE = "Save the file as CSV UTF-8."


class PlainText:
    """Feed it blocks of any size; each answer is normalised text, a part of a character or line end is held back."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._start: bytes | None = b""
        self._utf16: codecs.IncrementalDecoder | None = None
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._pending_utf8 = False
        self._held_cr = b""
        self._lines = 0

    def feed(self, block: bytes) -> bytes:
        """Raises UnsupportedType or Unreadable as soon as a block shows it."""
        if self._start is not None:
            self._start += block
            if len(self._start) < _LONGEST_MARK:
                return b""
            block = self._after_mark()
        return self._normalised(block, last=False)

    def finish(self) -> bytes:
        """What was held back."""
        return self._normalised(self._after_mark() if self._start is not None else b"", last=True)

    def _after_mark(self) -> bytes:
        start, self._start = self._start or b"", None
        for magic, sentence in _KINDS.items():
            if start.startswith(magic):
                raise UnsupportedType(sentence)
        if start.startswith(_UTF32_MARKS):
            raise Unreadable(f"The file is UTF-32. {_CURE}")
        if start.startswith(_UTF16_MARKS):
            self._utf16 = codecs.getincrementaldecoder("utf-16")()
            self.notes.append("The file was converted from UTF-16.")
        return start.removeprefix(codecs.BOM_UTF8)

    def _normalised(self, block: bytes, last: bool) -> bytes:
        block = self._as_utf8(block, last)
        if b"\0" in block:
            line = self._line_at(block, block.index(b"\0"))
            raise Unreadable(f"Line {line:,} holds a NUL byte: the file is binary, or UTF-16 without a mark. {_CURE}")
        block = self._with_lf(block, last)
        self._lines += line_count(block)
        return block

    def _as_utf8(self, block: bytes, last: bool) -> bytes:
        if self._utf16 is not None:
            return self._from_utf16(self._utf16, block, last)
        if block.isascii() and not self._pending_utf8:
            return block
        try:
            self._utf8.decode(block, last)
        except UnicodeDecodeError as error:
            # The decoder counts from what it held back of the block before.
            at = max(error.start - (len(error.object) - len(block)), 0)
            byte = error.object[error.start]
            raise Unreadable(f"Line {self._line_at(block, at):,} is not UTF-8 (byte 0x{byte:02X}). {_CURE}") from None
        self._pending_utf8 = bool(self._utf8.getstate()[0])
        return block

    def _from_utf16(self, decoder: codecs.IncrementalDecoder, block: bytes, last: bool) -> bytes:
        try:
            return decoder.decode(block, last).encode()
        except UnicodeError:
            sentence = f"The file starts as UTF-16 but is damaged after line {self._lines + 1:,}. {_CURE}"
            raise Unreadable(sentence) from None

    def _with_lf(self, block: bytes, last: bool) -> bytes:
        """CRLF and bare CR become LF; a CR at a block's end waits for what follows it."""
        if self._held_cr:
            block, self._held_cr = self._held_cr + block, b""
        if b"\r" not in block:
            return block
        if not last and block.endswith(b"\r"):
            block, self._held_cr = block[:-1], b"\r"
        return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _line_at(self, block: bytes, at: int) -> int:
        before = (self._held_cr + block[:at]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return self._lines + before.count(b"\n") + 1
