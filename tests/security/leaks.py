"""How servers let secrets slip, and an oracle of our own that finds them. It shares no code with the gateway's scrubber."""

import base64
import binascii
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote_plus, unquote_to_bytes

Encode = Callable[[str], str]


def _aligned(shift: int) -> Encode:
    """Base64 of the secret behind `shift` other bytes, as in `user:secret` or a longer text."""
    return lambda secret: base64.b64encode(b"u:x"[:shift] + secret.encode() + b"; more").decode()


def _unicode_escapes(secret: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in secret)


ENCODINGS: Final[Mapping[str, Encode]] = {
    "as it is": lambda secret: secret,
    "inside a sentence": lambda secret: f"The key {secret}, is not known",
    "inside a header line": lambda secret: f"x-key: {secret}\r\n",
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json with escaped slashes": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "json inside json": lambda secret: json.dumps(json.dumps({"key": secret})),
    "unicode escapes": _unicode_escapes,
    "upper unicode escapes": lambda secret: _unicode_escapes(secret).upper().replace("\\U", "\\u"),
    "some unicode escapes": lambda secret: "".join(
        f"\\u{ord(char):04x}" if place % 3 == 0 else json.dumps(char)[1:-1] for place, char in enumerate(secret)
    ),
    "hex": lambda secret: secret.encode().hex(),
    "upper hex": lambda secret: secret.encode().hex().upper(),
    "base64": _aligned(0),
    "base64 shifted by one": _aligned(1),
    "base64 shifted by two": _aligned(2),
    "base64 for addresses": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "percent": lambda secret: quote(secret, safe=""),
    "percent of everything": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "percent as in forms": quote_plus,
    "inside an address": lambda secret: f"https://peer.example/back?key={quote(secret)}&ok=1",
    "backwards": lambda secret: secret[::-1],
    "upper case": str.upper,
    "utf-16 read as bytes": "\0".join,
}


def forms(text: str) -> Iterator[str]:
    """Yields the text and what a curious reader makes of it with one or two simple tools."""
    seen = {text}
    fresh = [text]
    for _round in range(3):
        fresh = [made for old in fresh for made in _decoded(old) if made not in seen]
        fresh = list(dict.fromkeys(fresh))
        seen.update(fresh)
    yield from seen


def _decoded(text: str) -> Iterator[str]:
    yield re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    yield re.sub(r"\\+([\"\\/'])", r"\1", text)
    if "%" in text:
        yield unquote_to_bytes(text.encode("utf-8", "replace")).decode("latin-1")
        yield unquote_plus(text, errors="replace")
    if "\0" in text:
        yield text.replace("\0", "")


def finds(body: bytes, secret: str) -> bool:
    """Tells whether the secret can be read out of the body."""
    text = body.decode("utf-8", "replace")
    wanted = {secret.lower(), secret[::-1].lower()}
    for form in forms(text):
        low = form.lower()
        if any(word in low for word in wanted) or _in_runs(form, secret.encode()):
            return True
    return False


def _in_runs(text: str, secret: bytes) -> bool:
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", text):
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start : start + (len(plain) - start) // 4 * 4]
            if secret in base64.b64decode(part):
                return True
            rest = plain[start:]
            if secret in base64.b64decode(rest + "=" * (-len(rest) % 4)) if len(rest) % 4 != 1 else False:
                return True
    for run in re.findall(r"[0-9a-fA-F]{12,}", text):
        for start in (0, 1):
            digits = run[start : start + (len(run) - start) // 2 * 2]
            try:
                if secret in bytes.fromhex(digits):
                    return True
            except (ValueError, binascii.Error):
                pass
    return False


# Where a server puts it. Each returns status, headers and the pieces of the body.
Made = tuple[int, list[tuple[bytes, bytes]], list[bytes]]
Container = Callable[[Any, str], Made]

_JSON: Final = (b"content-type", b"application/json")
_EVENTS: Final = (b"content-type", b"text/event-stream")


def _message(call_id: Any, **members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": call_id, **members}).encode()


def _raw_message(call_id: Any, text: str) -> bytes:
    """The text stands in the reply as it is, so an escape in it is an escape of the reply itself."""
    inner = text if _is_json_text(text) else json.dumps(text)[1:-1]
    head = f'{{"jsonrpc":"2.0","id":{json.dumps(call_id)},"result":{{"content":[{{"type":"text","text":"'
    return f'{head}{inner}"}}]}}}}'.encode()


def _is_json_text(text: str) -> bool:
    try:
        json.loads(f'"{text}"')
    except ValueError:
        return False
    return True


def _result(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


CONTAINERS: Final[Mapping[str, Container]] = {
    "text": lambda call, leak: (200, [_JSON], [_message(call, result=_result(leak))]),
    "raw text": lambda call, leak: (200, [_JSON], [_raw_message(call, leak)]),
    "structured": lambda call, leak: (
        200,
        [_JSON],
        [_message(call, result=_result("", structuredContent={"a": [{"b": leak}], leak: 1}))],
    ),
    "meta": lambda call, leak: (200, [_JSON], [_message(call, result=_result("", _meta={"debug": leak}))]),
    "failed tool": lambda call, leak: (200, [_JSON], [_message(call, result=_result(leak, isError=True))]),
    "error message": lambda call, leak: (200, [_JSON], [_message(call, error={"code": 7, "message": leak})]),
    "error data": lambda call, leak: (
        400,
        [_JSON],
        [_message(call, error={"code": 7, "message": "no", "data": {"request": {"headers": [leak]}}})],
    ),
    "envelope error": lambda call, leak: (200, [_JSON], [_message(call, error={"code": -32600, "message": leak})]),
    "page": lambda call, leak: (500, [(b"content-type", b"text/html")], [f"<pre>{leak}</pre>".encode()]),
    "not json": lambda call, leak: (200, [_JSON], [leak.encode()]),
    "another id": lambda call, leak: (200, [_JSON], [_message(leak, result=_result(leak))]),
    "redirect": lambda call, leak: (302, [(b"location", b"https://x.example/?k=" + _line(leak))], [b""]),
    "headers": lambda call, leak: (
        200,
        [_JSON, (b"x-debug", _line(leak)), (b"set-cookie", b"k=" + _line(leak)), (b"mcp-session-id", _line(leak))],
        [_message(call, result=_result("x"))],
    ),
    "refused": lambda call, leak: (401, [_JSON, (b"www-authenticate", _line(leak))], [leak.encode()]),
    "events": lambda call, leak: (
        200,
        [_EVENTS],
        [
            b": " + _line(leak) + b"\n\n",
            b"data: " + json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"d": leak}}).encode(),
            b"\n\nevent: message\nid: 1\ndata: " + _message(call, result=_result(leak)) + b"\n\n",
        ],
    ),
    "late events": lambda call, leak: (
        200,
        [_EVENTS],
        [b"data: " + _raw_message(call, leak)[:40] + b"\ndata: " + _raw_message(call, leak)[40:] + b"\n\n"],
    ),
}  # fmt: skip


def _line(text: str) -> bytes:
    return re.sub(rb"[^\x21-\x7e ]", b"", text.encode())[:4_000].strip()


def in_pieces(body: bytes, chance: random.Random) -> list[bytes]:
    """Returns the body cut at a few random places, most of them where the secret may be."""
    cuts = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randrange(6)))
    edges = [0, *cuts, len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]
