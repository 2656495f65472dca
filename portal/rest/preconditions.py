"""ETag, If-Match and If-None-Match (RFC 9110): nobody overwrites what they have not seen.

A tag is `"<version>.<digest of the answer>"`. `If-None-Match` compares the whole; `If-Match` compares the version,
because what a probe notes in a server, for one, is no change that a writer must have read.
"""

import hashlib
import json
import re
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from kernel.errors import PreconditionFailed
from portal.rest.problems import PreconditionRequired
from tenants.versions import Versioned

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def tag_of(version: int | str, data: object) -> str:
    """Returns the entity tag of a row as it is shown."""
    shown = json.dumps(data, cls=JSONEncoder, sort_keys=True).encode()
    return f'"{version}.{hashlib.sha256(shown).hexdigest()[:12]}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Tells whether the reader has this very answer already."""
    header = request.headers.get("If-None-Match")
    return header is not None and (header.strip() == "*" or tag.strip('"') in _tags(header))


def expected_version(request: Request, row: Versioned) -> int | None:
    """Returns the version that the writer read; None for `*`. Raises when there is none, or not the present one."""
    header = _required(request)
    if header == "*":
        return None
    if row.version not in {_version(tag) for tag in _tags(header, strong=True)}:
        raise PreconditionFailed("It was changed in the meantime. Read it again.", current_version=row.version)
    return row.version


def require_absent_or_match(request: Request, present: str | None) -> None:
    """Raises unless the writer knows that there is nothing yet (`If-None-Match: *`) or which one it replaces."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        if present is not None:
            raise PreconditionFailed("There is one already. Read it again.")
        return
    header = _required(request)
    if present is None or (header != "*" and present not in {tag.partition(".")[0] for tag in _tags(header)}):
        raise PreconditionFailed("It was changed in the meantime. Read it again.")


def _required(request: Request) -> str:
    header: str | None = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired("Say in `If-Match` which version you read: its `ETag`.", missing="If-Match")
    return header.strip()


def _tags(header: str, *, strong: bool = False) -> set[str]:
    return {value for weak, value in _TAG.findall(header) if not (strong and weak)}


def _version(tag: str) -> Any:
    number = tag.partition(".")[0]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else None
