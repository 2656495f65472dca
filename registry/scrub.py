"""Removal of secrets from what the server that they were shown to answers, in every stable encoding that it may reflect.

A plain search per pattern over the original bytes: at these sizes that is eight times cheaper than one regular
expression. What no search can catch is an upstream that transforms the secret on purpose; the answer to that is a
short-lived token for one audience, not a longer list.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus

MIN_TRANSFORMED: Final = 6
"""Below six bytes a transformed secret is only two to seven characters, which any text contains by chance: a reply
full of holes helps nobody. Such a secret is still removed where it stands as it is."""

_MARKS: Final = (b"[secret removed]", b"[removed]", b"***", b"")
_SCHEMES: Final = frozenset({b"bearer", b"basic", b"token", b"digest", b"apikey"})
_LOOK_BACK: Final = 64
_URL_SAFE: Final = ("", "/", "-._~!'()*", "/:?#[]@!$&'()*+,;=-._~")
_HTML_ESCAPED: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027", "=": "\\u003d", "+": "\\u002b"}


@dataclass(frozen=True, slots=True)
class Patterns:
    """What to look for. Depends only on the secrets, so it is kept beside them and made once."""

    needles: tuple[bytes, ...]
    mixed: tuple[re.Pattern[bytes], ...]
    triggers: tuple[bytes, ...]
    mark: bytes
    longest: int

    def __repr__(self) -> str:
        return f"Patterns({len(self.needles)} needles)"


def patterns_for(secrets: Sequence[bytes]) -> Patterns:
    """Returns the patterns of all these secrets, longest first; no secrets give patterns that match nothing."""
    parts = {part for secret in secrets for part in _parts(secret)}
    needles = {needle for part in parts for needle in _needles(part)} - {b""}
    long_parts = sorted((p for p in parts if len(p) >= MIN_TRANSFORMED), key=len, reverse=True)
    mixed = tuple(re.compile(_mixed(part)) for part in long_parts)
    triggers = (b"\\",) if any(_BACKSLASHED.intersection(part) for part in long_parts) else (b"\\u",)
    longest = max([*map(len, needles), *(len(part) * _MIXED_WIDTH for part in long_parts)], default=0)
    return Patterns(tuple(sorted(needles, key=len, reverse=True)), mixed, (b"%", *triggers), _mark(needles), longest)


def _mark(needles: Iterable[bytes]) -> bytes:
    """The replacement must not itself contain a secret, for there are people whose password is "removed"."""
    return next(mark for mark in _MARKS if not any(needle in mark for needle in needles))


def _parts(secret: bytes) -> set[bytes]:
    """The token without its scheme, and for Basic also what it encodes and the password in it.

    Every form of "Bearer x" contains a form of "x", so the whole is looked for only when the token is short.
    """
    scheme, _, token = secret.partition(b" ")
    token = token.strip()
    if not token or scheme.lower() not in _SCHEMES:
        return {secret} - {b""}
    parts = {token} if len(token) >= MIN_TRANSFORMED else {secret, token}
    return parts | _basic_parts(token) if scheme.lower() == b"basic" else parts


def _basic_parts(encoded: bytes) -> set[bytes]:
    try:
        pair = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return set()
    password = pair.partition(b":")[2]
    # A short password would punch holes into every reply; the pair and its encoding are still looked for.
    return {pair, password} if len(password) >= MIN_TRANSFORMED else {pair}


def _needles(part: bytes) -> set[bytes]:
    if len(part) < MIN_TRANSFORMED:
        return {part}
    found = {part, part.swapcase(), part.lower(), part.upper(), part[::-1]}
    found |= {part.hex().encode(), part.hex().upper().encode()}
    encoded = _base64(part)
    for text in _texts(part):
        found |= _text_forms(text)
    # Turned round or in another case it still goes into JSON, where quotes and backslashes are escaped.
    for turned in (part.swapcase(), part.lower(), part.upper(), part[::-1]):
        for text in _texts(turned):
            found |= _escaped_forms(text)
    # An encoding may be encoded once more on its way: base64 inside JSON with escaped slashes, or inside a URL.
    for needle in encoded:
        found |= {needle, needle.replace(b"/", b"\\/"), quote(needle, safe="").encode(), _lower_escapes(needle)}
    return found


def _texts(part: bytes) -> set[str]:
    """How a server may read the bytes as text before it writes them into JSON."""
    texts = {part.decode("latin-1")}
    try:
        texts.add(part.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    return texts


def _text_forms(text: str) -> set[bytes]:
    forms = {text.encode()}
    for safe in _URL_SAFE:
        forms |= _both_cases(quote(text, safe=safe))
    forms |= _both_cases(quote_plus(text)) | _both_cases("".join(f"%{byte:02X}" for byte in text.encode()))
    for little in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        forms.add(text.encode(little).strip(b"\0"))
    return forms | _json_forms(text)


def _json_forms(text: str) -> set[bytes]:
    ascii_form = json.dumps(text)[1:-1]
    wide_form = json.dumps(text, ensure_ascii=False)[1:-1]
    html_form = "".join(_HTML_ESCAPED.get(character, character) for character in ascii_form)
    units = text.encode("utf-16-be").hex()
    every = "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))
    forms = {ascii_form, wide_form, html_form, every, every.upper().replace("\\U", "\\u")}
    forms |= {form.replace("/", "\\/") for form in (ascii_form, wide_form, html_form)}
    # JSON text inside a JSON string, as tools that wrap an API answer do.
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in tuple(forms)}
    # UTF-16 read as bytes and written as JSON: each character followed by an escaped NUL.
    forms.add("\\u0000".join(json.dumps(character)[1:-1] for character in text))
    return {form.encode() for form in forms}


def _escaped_forms(text: str) -> set[bytes]:
    """The text in JSON, and in JSON inside JSON; text without anything to escape stays one form."""
    forms = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    forms |= {form.replace("/", "\\/") for form in forms}
    forms |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in tuple(forms)}
    return {form.encode() for form in forms}


def _both_cases(quoted: str) -> set[bytes]:
    return {quoted.encode(), _lower_escapes(quoted.encode())}


def _lower_escapes(quoted: bytes) -> bytes:
    return re.sub(rb"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)


def _base64(part: bytes) -> set[bytes]:
    """The characters that stay the same whatever stands before and after the secret, at the three alignments."""
    found = set()
    for shift, spoiled in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * shift + part)
        stable = encoded[spoiled : (shift + len(part)) * 8 // 6]
        found |= {stable, stable.translate(_TO_URL)}
    return found


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")

_MIXED_WIDTH: Final = 13
"""Bytes of one character in its longest spelling: seven backslashes, as in JSON three times inside JSON, and `u00xx`."""
_BACKSLASHED: Final = frozenset(b"\"\\/'")


def _mixed(part: bytes) -> bytes:
    """An expression for the secret with each byte percent-encoded, \\u-escaped, backslashed or plain, in any mixture.

    Each branch starts with a literal, so that the search skips quickly over bytes that start none of them.
    """
    return b"".join(_mixed_byte(byte) for byte in part)


def _mixed_byte(byte: int) -> bytes:
    code = b"".join(b"[%c%c]" % (ord(digit), ord(digit.upper())) for digit in f"{byte:02x}")
    plain = re.escape(bytes([byte]))
    backslashed = rb"|\\\\{0,7}" + plain if byte in _BACKSLASHED else b""
    return rb"(?:%" + code + rb"|\\\\{0,7}u00" + code + b"|" + plain + backslashed + b")"


def scrub(body: bytes, patterns: Patterns) -> tuple[bytes, int]:
    """Returns the body without the secrets, and how many places were cut out. JSON that was valid stays valid.

    The one exception fails closed: a secret of digits only, standing as a bare number, leaves JSON that nobody accepts.
    """
    spans = _spans(body, patterns)
    return (_replace(body, spans, patterns.mark), len(spans)) if spans else (body, 0)


def _replace(body: bytes, spans: Sequence[tuple[int, int]], mark: bytes) -> bytes:
    pieces = []
    position = 0
    for start, end in spans:
        pieces += [body[position:start], mark]
        position = end
    return b"".join([*pieces, body[position:]])


def _spans(body: bytes, patterns: Patterns, covered: int = 0) -> list[tuple[int, int]]:
    """Returns the places to cut out, in order and apart; `covered` bytes at the start belong to an earlier one."""
    found = [_align(body, start, end) for start, end in _find(body, patterns)]
    return _merge([(0, covered), *found] if covered else found)


def _find(body: bytes, patterns: Patterns) -> list[tuple[int, int]]:
    found = []
    for needle in patterns.needles:
        start = body.find(needle)
        while start >= 0:
            found.append((start, start + len(needle)))
            # Step by one, not by the needle: overlapping places are merged, none is missed.
            start = body.find(needle, start + 1)
    # The expressions are slow, and without one of the triggers they find nothing that the needles do not.
    if any(trigger in body for trigger in patterns.triggers):
        found += [match.span() for expression in patterns.mixed for match in expression.finditer(body)]
    return found


def _merge(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


_OPEN_ESCAPE: Final = re.compile(rb"(\\+)(u[0-9a-fA-F]{0,7})?\Z")


def _align(body: bytes, start: int, end: int) -> tuple[int, int]:
    """Widens a place so that it does not cut a JSON escape in two, which would make the reply unreadable."""
    before = _OPEN_ESCAPE.search(body, max(0, start - _LOOK_BACK), start)
    if before is not None and len(before[1]) % 2:
        start = before.end(1) - 1
    after = _OPEN_ESCAPE.search(body, start, end)
    if after is not None and len(after[1]) % 2 and end < len(body):
        rest = 1 if after[2] is None else 0
        end += rest
    return start, end


def scrub_headers(headers: Sequence[tuple[bytes, bytes]], patterns: Patterns) -> tuple[list[tuple[bytes, bytes]], int]:
    """Returns the headers without the secrets, in names too, and how many places were cut out."""
    clean = []
    total = 0
    for name, value in headers:
        clean_name, in_name = scrub(name, patterns)
        clean_value, in_value = scrub(value, patterns)
        clean.append((clean_name, clean_value))
        total += in_name + in_value
    return clean, total


class StreamScrubber:
    """Scrubs a body that comes in pieces: holds back as much as the longest pattern needs to be seen whole."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._held = b""
        self._covered = 0
        self.count = 0

    def feed(self, chunk: bytes) -> bytes:
        """Returns what can no longer become part of a secret."""
        if not self._patterns.needles:
            return chunk
        body = self._held + chunk
        spans = _spans(body, self._patterns, self._covered)
        cut = _cut(body, len(body) - self._patterns.longest + 1)
        done = [(start, min(end, cut)) for start, end in spans if start < cut]
        # A place that reaches over the cut is removed in two halves, so what is held stays short.
        self._covered = max([end - cut for start, end in spans if start < cut < end], default=0)
        self._held = body[cut:]
        self.count += len(done)
        return _replace(body[:cut], done, self._patterns.mark)

    def finish(self) -> bytes:
        """Returns the rest."""
        spans = _spans(self._held, self._patterns, self._covered)
        rest = _replace(self._held, spans, self._patterns.mark)
        self.count += len(spans)
        self._held, self._covered = b"", 0
        return rest


def _cut(body: bytes, cut: int) -> int:
    """A place at or before `cut` that is not inside a JSON escape, so that the next piece can be aligned."""
    if cut <= 0:
        return 0
    escape = _OPEN_ESCAPE.search(body, max(0, cut - _LOOK_BACK), cut)
    return escape.start() if escape is not None else cut
