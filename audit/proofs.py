"""`c2sp.org/tlog-proof@v1`: one record's proof as text that anybody checks offline with the verifier key. Pure.

The `extra` line carries the record itself (the leaf's bytes), so one file is enough. It needs no trust: its hash is
what the proof is about.
"""

from dataclasses import dataclass
from typing import Final, Self

from audit.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from audit.notes import Head, NoteError, Verifier, decode64, encode64, open_checkpoint

HEADER: Final = "c2sp.org/tlog-proof@v1"


class ProofError(ValueError):
    """The text is not a proof, or it proves nothing."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That `leaf` is entry `index` of the log whose signed checkpoint is `note`."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """Returns the C2SP text."""
        lines = [HEADER, f"extra {encode64(self.leaf)}", f"index {self.index}", *(encode64(node) for node in self.path)]
        return "\n".join(lines) + "\n\n" + self.note

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns the proof that a text holds, not yet verified. Raises `ProofError` for any other spelling."""
        top, gap, note = text.partition("\n\n")
        lines = top.split("\n")
        if not gap or len(lines) < 3 or lines[0] != HEADER:
            raise ProofError("not a c2sp.org/tlog-proof@v1 text with its record")
        try:
            path = tuple(decode64(line) for line in lines[3:])
            leaf = decode64(_after(lines[1], "extra "))
        except NoteError as error:
            raise ProofError("a line is not Base 64") from error
        if any(len(node) != HASH_BYTES for node in path):
            raise ProofError("a line of the path is not a hash")
        return cls(leaf, _decimal(_after(lines[2], "index ")), path, note)

    def verify(self, verifier: Verifier) -> Head:
        """Returns the checkpoint's head once its signature holds and the leaf is proved to be in its tree."""
        try:
            head = open_checkpoint(self.note, verifier)
        except NoteError as error:
            raise ProofError(str(error)) from error
        if not verify_inclusion(leaf_hash(self.leaf), self.index, head.size, self.path, head.root):
            raise ProofError("the path does not lead from this record to the checkpoint's root")
        return head


def _after(line: str, start: str) -> str:
    if not line.startswith(start):
        raise ProofError(f"a line does not begin with {start.strip()!r}")
    return line.removeprefix(start)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or str(int(text)) != text or len(text) > 18:
        raise ProofError("the index is not a plain decimal number")
    return int(text)
