"""Receives a form's large file into a temporary file without a name: it goes with the process, however that ends."""

from __future__ import annotations

import tempfile
from typing import IO, Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler


class UnnamedFileHandler(FileUploadHandler):
    """Django's own gives it a name, which a process that is killed leaves behind for ever."""

    _received: IO[bytes] | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._received = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the request closes it

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._received is not None
        self._received.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        assert self._received is not None
        self._received.seek(0)
        return UploadedFile(
            self._received, self.file_name, self.content_type, file_size, self.charset, self.content_type_extra
        )

    def upload_interrupted(self) -> None:
        if self._received is not None:
            self._received.close()
