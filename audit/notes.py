"""C2SP signed notes and tlog checkpoints with Ed25519: signing, reading, verifying. Pure.

One key signs all streams. Each stream is a log of its own, so each has its own origin, and as C2SP recommends the
signature's key name is the origin; the key id, which covers the name, keeps one stream's signature from another's.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.merkle import HASH_BYTES

ED25519: Final = b"\x01"
KEY_ID_BYTES: Final = 4
SIGNATURE_BYTES: Final = 64
MAX_NOTE_CHARS: Final = 1_000_000
DASH: Final = "\N{EM DASH}"


class NoteError(ValueError):
    """The text is not a signed note, or no signature by the expected key holds."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint says: this log, at this size, has this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Returns the note text that is signed: three lines."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the head that a note text states. Only the one canonical spelling is read."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise NoteError("a checkpoint is at least three lines")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdecimal()) or str(int(size)) != size:
            raise NoteError("the tree size is not a plain decimal number")
        data = decode64(root)
        if len(data) != HASH_BYTES:
            raise NoteError("the root is not a SHA-256 hash")
        return cls(origin, int(size), data)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A named public key. `vkey()` is its C2SP text: name+id+key."""

    name: str
    public: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the verifier of a C2SP vkey text. Raises `NoteError` unless its id matches name and key."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key is name+id+key")
        name, key_id, key = parts
        data = decode64(key)
        if data[:1] != ED25519 or len(data) != 33:
            raise NoteError("the verifier key is not Ed25519")
        verifier = cls(check_name(name), Ed25519PublicKey.from_public_bytes(data[1:]))
        if verifier.key_id().hex() != key_id:
            raise NoteError("the verifier key's id does not match it")
        return verifier

    def named(self, name: str) -> "Verifier":
        """Returns the verifier of the same key under another name: that of one stream."""
        return Verifier(check_name(name), self.public)

    def key_id(self) -> bytes:
        """Returns the first four bytes of SHA-256(name, newline, algorithm, key)."""
        data = self.name.encode() + b"\n" + ED25519 + self.public.public_bytes_raw()
        return hashlib.sha256(data).digest()[:KEY_ID_BYTES]

    def vkey(self) -> str:
        """Returns the C2SP text of this verifier."""
        return f"{self.name}+{self.key_id().hex()}+{encode64(ED25519 + self.public.public_bytes_raw())}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A named private key. Keep the base name short and stable: it begins each stream's origin."""

    name: str
    private: Ed25519PrivateKey

    def verifier(self) -> Verifier:
        """Returns the public half."""
        return Verifier(check_name(self.name), self.private.public_key())

    def origin(self, stream_uid: object) -> str:
        """Returns the origin of a stream's log: base name, slash, the stream's public id."""
        return f"{self.name}/{stream_uid}"

    def checkpoint(self, stream_uid: object, size: int, root: bytes) -> str:
        """Returns the signed checkpoint of a stream's log."""
        origin = self.origin(stream_uid)
        text = Head(origin, size, root).text()
        data = self.verifier().named(origin).key_id() + self.private.sign(text.encode())
        return f"{text}\n{DASH} {origin} {encode64(data)}\n"


def open_checkpoint(note: str, verifier: Verifier) -> Head:
    """Returns what a checkpoint states, once a signature of `verifier` over it holds.

    The log's name must be the verifier's own or below it (`name/...`). Raises `NoteError` otherwise. Lines by unknown
    keys (witnesses) are passed over, as C2SP asks; a bad signature by the known key is an error even beside a good one.
    """
    text, signatures = _split_note(note)
    head = Head.parse(text)
    if head.origin != verifier.name and not head.origin.startswith(verifier.name + "/"):
        raise NoteError("the checkpoint is of another log")
    known = verifier.named(head.origin)
    mine = [
        data[KEY_ID_BYTES:] for name, data in signatures if (name, data[:KEY_ID_BYTES]) == (known.name, known.key_id())
    ]
    if not mine:
        raise NoteError("the checkpoint is not signed by the expected key")
    for signature in mine:
        _verify(known.public, signature, text)
    return head


def check_name(name: str) -> str:
    """Returns `name` if it may be a C2SP key name: not empty, no white space, no plus."""
    if not name or "+" in name or any(char.isspace() for char in name):
        raise NoteError("a key name has no spaces and no plus")
    return name


def encode64(data: bytes) -> str:
    """Returns standard Base 64."""
    return base64.b64encode(data).decode()


def decode64(text: str) -> bytes:
    """Returns the bytes of standard Base 64 in its one canonical spelling; anything else is a `NoteError`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("not Base 64") from error
    if encode64(data) != text:
        raise NoteError("not canonical Base 64")
    return data


def _verify(key: Ed25519PublicKey, signature: bytes, text: str) -> None:
    try:
        key.verify(signature, text.encode())
    except InvalidSignature as error:
        raise NoteError("the signature does not hold") from error


def _split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > MAX_NOTE_CHARS or any(ord(char) < 0x20 and char != "\n" for char in note):
        raise NoteError("the note is too long or has control characters")
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("the note has no signatures")
    return text + "\n", [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH:
        raise NoteError("not a signature line")
    data = decode64(parts[2])
    if len(data) <= KEY_ID_BYTES:
        raise NoteError("a signature line without a signature")
    return check_name(parts[1]), data
