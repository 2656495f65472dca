"""What an HTTP API answered, as the result of a tool. Nothing of its head is passed on but status and type."""

from http import HTTPStatus
from typing import Any, Final

from gateway.credentials import Opened
from gateway.egress import Reply
from gateway.rewrite import read_json, write_json
from gateway.wire import Refusal

MAX_ERROR_TEXT: Final = 4_000
MAX_DEPTH: Final = 64
_TEXTUAL: Final = frozenset(
    {b"application/xml", b"application/yaml", b"application/x-yaml", b"application/javascript", b"application/sql"}
    | {b"application/x-www-form-urlencoded", b"application/x-ndjson", b"application/jsonl"}
)
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
_CHARSETS: Final = {b"": "utf-8", b"utf-8": "utf-8", b"utf8": "utf-8", b"us-ascii": "ascii", b"iso-8859-1": "latin-1"}


def read_result(reply: Reply, opened: Opened) -> tuple[str, dict[str, Any], bytes]:
    """Returns how the call ended for the record, and the result with its JSON: what the API said, or how it refused."""
    if not 200 <= reply.status < 300:
        return _written("tool_error", _refused(reply, opened))
    kind, charset = _kind(reply)
    if not reply.body:
        return _written("ok", _told(f"{_status(reply.status)}, without a body."))
    if _is_json(kind):
        try:
            value, exact = read_json(reply.body, depth=MAX_DEPTH)
        except Refusal:
            pass  # it calls itself JSON and is not, as we read it: then it is text
        else:
            # Structured content has to be an object.
            structured = value if isinstance(value, dict) else {"result": value}
            return _written("ok", {**_told(reply.body.decode()), "structuredContent": structured}, exact=exact)
    text = _as_text(reply.body, kind, charset)
    return _written("ok", _told(_binary(reply, kind) if text is None else text))


def _written(kind: str, result: dict[str, Any], *, exact: bool = False) -> tuple[str, dict[str, Any], bytes]:
    return kind, result, write_json(result, exact=exact)


def _refused(reply: Reply, opened: Opened) -> dict[str, Any]:
    said = _status(reply.status)
    if 300 <= reply.status < 400:
        said += ": the API sends to another address, and redirects are never followed."
    elif reply.status in {401, 403}:
        said += ": the API refuses the gateway's credential, or this operation to it."
    # Cut only what is clean: half a secret at the end of the text would be found by nobody.
    clean = opened.clean(reply.body)
    kind, charset = _kind(reply)
    text = (_as_text(clean, kind, charset) or "") if not 300 <= reply.status < 400 else ""
    if len(text) > MAX_ERROR_TEXT:
        text = text[:MAX_ERROR_TEXT] + "…"
    return {**_told(f"{said}\n\n{text}" if text else said), "isError": True}


def _told(text: str) -> dict[str, Any]:
    return {"resultType": "complete", "content": [{"type": "text", "text": text}]}


def _status(status: int) -> str:
    return f"HTTP {status} {_PHRASES.get(status, '')}".strip()


def _kind(reply: Reply) -> tuple[bytes, bytes]:
    kind, _, rest = reply.header(b"content-type").lower().partition(b";")
    charset = next((word.partition(b"=")[2] for word in rest.split(b";") if word.strip().startswith(b"charset=")), b"")
    return kind.strip(), charset.strip().strip(b'"')


def _is_json(kind: bytes) -> bool:
    return kind == b"application/json" or kind.endswith(b"+json")


def _as_text(body: bytes, kind: bytes, charset: bytes) -> str | None:
    """Returns a body that says it is text, or says nothing and is; None for everything else."""
    if (
        kind
        and not kind.startswith(b"text/")
        and not _is_json(kind)
        and kind not in _TEXTUAL
        and not kind.endswith(b"+xml")
    ):
        return None
    codec = _CHARSETS.get(charset)
    try:
        text = body.decode(codec) if codec is not None else None
    except UnicodeDecodeError:
        return None
    return None if text is None or "\0" in text else text


def _binary(reply: Reply, kind: bytes) -> str:
    name = kind.decode("latin-1")[:100] if kind.isascii() and kind.decode("latin-1").isprintable() else ""
    return f"{_status(reply.status)}: {len(reply.body):,} bytes of {name or 'an unnamed type'}, which are not shown."
