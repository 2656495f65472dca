"""Forms with files: counted while they come, kept outside of memory when they are large, named by their whole path.

A path is data here and never one of this machine, so it is taken as it was sent: who reads the document judges it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from kernel.errors import TooLarge
from portal.uploading import MAX_TOTAL
from registry.context.entries import limit_of, shown_path

DOCUMENTS: Final = "documents"
_IN_MEMORY: Final = 1 << 20
_WORDS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, eq=False)
class Uploaded:
    """A file of a form: its whole path as the sender wrote it, its digest, and its bytes for as long as the request."""

    path: str
    digest: str
    file: IO[bytes]

    def read(self) -> bytes:
        """Returns its bytes."""
        self.file.seek(0)
        return self.file.read()

    def close(self) -> None:
        """Drops its bytes: Django closes every file of a request at its end."""
        self.file.close()


@extend_schema_field(OpenApiTypes.BINARY)
class UploadedField(serializers.Field[Uploaded, Any, Any, Any]):
    """A file of a form."""

    default_error_messages = {"invalid": "A file is needed, with its name."}

    def to_internal_value(self, data: Any) -> Uploaded:
        """Returns the file; a text is none."""
        if not isinstance(data, Uploaded):
            self.fail("invalid")
        return data


class UploadParser(BaseParser):
    """Reads a form into plain values: the files under `documents`, the words true and false as what they mean."""

    media_type = "multipart/form-data"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Returns the values. Raises before more than the limits was taken in."""
        meta = dict((parser_context or {})["request"].META)
        if int(meta["CONTENT_LENGTH"]) > MAX_TOTAL:
            raise TooLarge(f"A request brings at most {MAX_TOTAL:,} bytes; divide it.", limit=MAX_TOTAL)
        try:
            fields, files = _Form(meta, stream, [_Spool()], "utf-8").parse()
        except MultiPartParserError as error:
            raise ParseError("The form cannot be read.") from error
        except TooManyFilesSent as error:
            raise TooLarge("A form brings fewer files than these; put them into one archive.") from error
        found: dict[str, Any] = {name: _plain(values) for name, values in fields.lists()}
        return found | {name: [*fields.getlist(name), *values] for name, values in files.lists()}


class _Form(MultiPartParser):
    def sanitize_file_name(self, file_name: str) -> str:
        """Returns the path as it was sent: no file is ever written under it."""
        return file_name


class _Spool(FileUploadHandler):
    """Takes in one file after the other, and stops at the first that is larger than its kind may be."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begins a file."""
        super().new_file(*args, **kwargs)
        self.spool = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed with the request's files
        self.sha256, self.limit = hashlib.sha256(), limit_of(str(self.file_name))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Takes in some bytes of the file."""
        if start + len(raw_data) > self.limit:
            self.spool.close()
            path = shown_path(str(self.file_name))
            raise TooLarge(
                f"“{path}” has more than the {self.limit:,} bytes that a document of its kind may have.",
                document=path,
                limit=self.limit,
            )
        self.sha256.update(raw_data)
        self.spool.write(raw_data)

    def file_complete(self, file_size: int) -> Any:
        """Returns the file."""
        return Uploaded(str(self.file_name), self.sha256.hexdigest(), self.spool)


def _plain(values: Sequence[object]) -> object:
    value = values[0] if len(values) == 1 else list(values)
    return _WORDS.get(value, value) if isinstance(value, str) else value
