"""Bytes on a socket, for requests that no client library would send."""

import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit


def connect(url: str) -> socket.socket:
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=20)


def exchange(url: str, data: bytes) -> bytes:
    """Returns all that comes back until the peer closes, or nothing more comes for a while."""
    with connect(url) as raw:
        try:
            raw.sendall(data)
        except OSError:
            pass  # closed in the middle: what it said before is still there
        return drain(raw, quiet=0.5)


def drain(raw: socket.socket, *, quiet: float) -> bytes:
    raw.settimeout(quiet)
    found = b""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            piece = raw.recv(65_536)
        except TimeoutError:
            if found:
                break
            continue
        except OSError:
            break
        if not piece:
            break
        found += piece
    return found


def statuses(answer: bytes) -> list[int]:
    """Returns the status of each answer in what came back."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def pour(url: str, head: bytes, pieces: Iterable[bytes]) -> tuple[bytes, int]:
    """Returns what came back and how many bytes were taken before the peer had enough."""
    sent = 0
    with connect(url) as raw:
        try:
            raw.sendall(head)
            for piece in pieces:
                raw.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        return drain(raw, quiet=1.0), sent
