"""Git servers on loopback: dulwich's own, and one that answers whatever a test wants, byte for byte."""

import hashlib
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

from registry.addresses import AddressPolicy
from registry.git.fetching import Sources

COMMIT, TREE, BLOB, OFS_DELTA, REF_DELTA = 1, 2, 3, 6, 7
NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob"}
Item = tuple[int, bytes]


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_words: object) -> None:
        pass


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def serving(repositories: dict[str, Path], *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yields the port at which dulwich serves these repositories, by path."""
    opened = {path: Repo(str(place)) for path, place in repositories.items()}
    server = make_server("127.0.0.1", 0, make_wsgi_chain(DictBackend(opened)), _Threads, _Quiet)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for one in opened.values():
            one.close()


def listed(port: int, **more: object) -> Sources:
    """Returns the sources of an administrator who listed this port of this host."""
    return Sources(AddressPolicy([f"127.0.0.1:{port}"]), **more)


@dataclass
class Peer:
    """A server whose answers are functions; it keeps what it was asked."""

    port: int
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/r"


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def answering(on_get: Answer, on_post: Answer | None = None) -> Iterator[Peer]:
    """Yields a server that answers with these functions. `peer.done` is set when the test is over."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_words: object) -> None:
            pass

        def _handle(self, answer: Answer) -> None:
            peer.asked.append(
                (f"{self.command} {self.path}", {key.lower(): word for key, word in self.headers.items()})
            )
            try:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer(self)
            except OSError:
                pass  # the client has hung up, which is what most of these tests want

        def do_GET(self) -> None:
            self._handle(on_get)

        def do_POST(self) -> None:
            self._handle(on_post or on_get)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    peer = Peer(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.done.set()
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, body: bytes, kind: str, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    for name, word in headers.items():
        handler.send_header(name.replace("_", "-"), word)
    handler.end_headers()
    handler.wfile.write(body)


def line(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def band(data: bytes, channel: int = 1) -> bytes:
    pieces = (data[at : at + 60_000] for at in range(0, len(data), 60_000))
    return b"".join(line(bytes([channel]) + piece) for piece in pieces)


def id_of(kind: int, data: bytes) -> bytes:
    return hashlib.sha1(NAMES[kind] + b" %d\0" % len(data) + data).hexdigest().encode()


def tree(*entries: tuple[int, bytes, bytes]) -> Item:
    """Returns a tree exactly as it is written: mode, name, id."""
    return TREE, b"".join(b"%o %s\0" % (mode, name) + bytes.fromhex(ref.decode()) for mode, name, ref in entries)


def commit(root: bytes) -> Item:
    who = b"Ana <ana@example.test> 1750000000 +0000"
    return COMMIT, b"tree %s\nauthor %s\ncommitter %s\n\nBegin\n" % (root, who, who)


def number(first: int, size: int) -> bytes:
    """Returns a type and a size as a pack writes them."""
    octets = [first << 4 | size & 0x0F]
    size >>= 4
    while size:
        octets[-1] |= 0x80
        octets.append(size & 0x7F)
        size >>= 7
    return bytes(octets)


def plain_number(size: int) -> bytes:
    octets = [size & 0x7F]
    while size := size >> 7:
        octets[-1] |= 0x80
        octets.append(size & 0x7F)
    return bytes(octets)


def packed(item: Item, says: int | None = None, extra: bytes = b"") -> bytes:
    """Returns an object in a pack; `says` is the size that it claims."""
    kind, data = item
    return number(kind, len(data) if says is None else says) + extra + zlib.compress(data)


def pack(*objects: bytes, says: int | None = None) -> bytes:
    """Returns a pack; `says` is how many objects it claims to have."""
    body = b"PACK" + (2).to_bytes(4) + (len(objects) if says is None else says).to_bytes(4) + b"".join(objects)
    return body + hashlib.sha1(body).digest()


def pack_of(*items: Item) -> bytes:
    return pack(*(packed(item) for item in items))


CAPABILITIES = b"multi_ack side-band-64k ofs-delta shallow thin-pack no-progress symref=HEAD:refs/heads/main"


def advertise(tip: bytes, capabilities: bytes = CAPABILITIES) -> Answer:
    """Returns an answer that names one branch."""
    body = line(b"# service=git-upload-pack\n") + b"0000"
    body += line(tip + b" HEAD\0" + capabilities + b"\n") + line(tip + b" refs/heads/main\n") + b"0000"
    return lambda handler: reply(handler, body, "application/x-git-upload-pack-advertisement")


def give(data: bytes) -> Answer:
    """Returns an answer that gives a pack."""
    body = b"0000" + line(b"NAK\n") + band(data) + b"0000"
    return lambda handler: reply(handler, body, "application/x-git-upload-pack-result")


@contextmanager
def offering(tip: bytes, data: bytes) -> Iterator[Peer]:
    """Yields a server that names a commit and gives a pack."""
    with answering(advertise(tip), give(data)) as peer:
        yield peer


@contextmanager
def offering_tree(root: Item, *items: Item) -> Iterator[Peer]:
    """Yields a server whose one commit has this tree."""
    top = commit(id_of(*root))
    with offering(id_of(*top), pack_of(top, root, *items)) as peer:
        yield peer
