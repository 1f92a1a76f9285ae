"""Reads a multipart form while it arrives: keeps its fields and hands on the bytes of its one file."""

from __future__ import annotations

import html

from django.utils.http import parse_header_parameters
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError

from predictions.errors import InvalidInput, TooLarge, Unreadable, UnsupportedType

FILE = "file"
MOST_FIELDS = 100
MOST_FIELD_BYTES = 64 * 1024
PLAIN_ENCODINGS = {"", "7bit", "8bit", "binary"}


class FormBody:
    """fields: those that have come so far; fields_before: those before the file; file_name: None until it begins."""

    def __init__(self, content_type: str) -> None:
        """content_type: the header, with the boundary. Raises Unreadable."""
        self.fields: dict[str, str] = {}
        self.fields_before: dict[str, str] = {}
        self.file_name: str | None = None
        self.has_ended = False
        self._is_in_file = False
        self._field: str | None = None
        self._value = bytearray()
        self._field_bytes = 0
        self._field_count = 0
        self._headers: dict[str, str] = {}
        self._header_name, self._header_value = bytearray(), bytearray()
        self._found: list[bytes] = []
        self._parser = self._parser_for(content_type)

    def take(self, block: bytes) -> bytes:
        """The bytes of the file that stand in the block. Raises Refused."""
        self._found = []
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise Unreadable(f"The form cannot be read: {error}.") from None
        return self._found[0] if len(self._found) == 1 else b"".join(self._found)

    def close(self) -> None:
        if not self.has_ended:
            raise Unreadable("The form cannot be read: it ends before its last boundary.")

    def _parser_for(self, content_type: str) -> MultipartParser:
        try:
            boundary = parse_header_parameters(content_type)[1].get("boundary", "")
            if not boundary or not boundary.isascii():
                raise Unreadable("The form cannot be read: its Content-Type has no boundary, as in 'boundary=line'.")
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header_name,
                    "on_header_value": self._take_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except ValueError as error:  # of the library, and of Django's reader of headers
            raise Unreadable(f"The form cannot be read: {error}.") from None

    def _begin_part(self) -> None:
        self._headers = {}

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = self._header_value.decode(errors="replace")
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        try:
            _, said = parse_header_parameters(self._headers.get("content-disposition", ""))
        except ValueError as error:
            raise Unreadable(f"The form cannot be read: {error}.") from None
        name, file_name = said.get("name", ""), said.get("filename")
        if file_name is None:
            self._begin_field(name)
        elif sent := _last_of_path(file_name):
            self._begin_file(name, sent)

    def _begin_field(self, name: str) -> None:
        self._field_count += 1
        if self._field_count > MOST_FIELDS:
            raise InvalidInput(f"The form has more than {MOST_FIELDS} fields, the most that are taken.")
        self._field = name
        self._count(len(name))

    def _begin_file(self, name: str, file_name: str) -> None:
        """A file input that was left empty sends a file without a name; that is none."""
        if name != FILE or self.file_name is not None:
            raise InvalidInput(f'The form has a file in "{name[:40]}"; one file is taken, in "{FILE}".')
        encoding = self._headers.get("content-transfer-encoding", "").strip().lower()
        if encoding not in PLAIN_ENCODINGS:
            raise UnsupportedType(f"The file has the Content-Transfer-Encoding '{encoding[:40]}'; 'binary' is allowed.")
        self.file_name = file_name
        self.fields_before = dict(self.fields)
        self._is_in_file = True

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_in_file:
            self._found.append(data[start:end])
        elif self._field is not None:
            self._count(end - start)
            self._value += data[start:end]

    def _end_part(self) -> None:
        if self._field is not None:
            self.fields[self._field] = self._value.decode(errors="replace")
            self._value.clear()
        self._is_in_file, self._field = False, None

    def _end(self) -> None:
        self.has_ended = True

    def _count(self, size_bytes: int) -> None:
        self._field_bytes += size_bytes
        if self._field_bytes > MOST_FIELD_BYTES:
            raise TooLarge(f"The form's fields are larger than {MOST_FIELD_BYTES:,} bytes, the most that is taken.")


def _last_of_path(file_name: str) -> str:
    """Some browsers send the whole path. Source: Django's MultiPartParser.sanitize_file_name."""
    last = html.unescape(file_name).rsplit("/")[-1].rsplit("\\")[-1]
    return "".join(character for character in last if character.isprintable())
