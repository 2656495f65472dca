"""Files on their way in: counted while they arrive, so that what is too large is never kept, only named."""

from __future__ import annotations

import io
from typing import Any, Final

from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from registry.context.entries import limit_of

MAX_TOTAL: Final = 100_000_000
"""How many bytes all files of one upload may have together."""


class RefusedFile(InMemoryUploadedFile):
    """A file that was not kept: it has a name, a size, and no content. `found_no_room`: the others filled the upload."""

    def __init__(self, name: str, size: int, *, found_no_room: bool) -> None:
        super().__init__(io.BytesIO(), None, name, "", size, None)
        self.found_no_room = found_no_room


class BoundedUpload(FileUploadHandler):
    """Stands before the handlers that keep files, and passes on only what is within the bounds."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self.kept = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begins to count a file."""
        super().new_file(*args, **kwargs)
        self.arrived = 0
        self.is_refused = self.found_no_room = False

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Returns what the next handler keeps: nothing once the file, or the upload, is too large."""
        self.arrived += len(raw_data)
        is_too_large = self.arrived > limit_of(self.file_name or "")
        is_too_much = self.kept + self.arrived > MAX_TOTAL
        if is_too_much and not is_too_large and not self.is_refused:
            self.found_no_room = True
        self.is_refused = self.is_refused or is_too_large or is_too_much
        return None if self.is_refused else raw_data

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        """Returns a refused file by its name and size; None leaves it to who kept it."""
        if self.is_refused:
            return RefusedFile(self.file_name or "", file_size, found_no_room=self.found_no_room)
        self.kept += file_size
        return None
