"""The one way to a repository of others: `fetched` gives a clone of one branch for as long as the `with` lasts."""

import os
import re
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, Final

from dulwich.object_store import DiskObjectStore
from dulwich.refs import Ref, check_ref_format

from kernel.errors import DomainError, Invalid, Unavailable
from registry.addresses import AddressPolicy, ParsedUrl, check_url
from registry.git.access import NOBODY, Login, Sealed, Vault
from registry.git.bounds import Bounds, Watch, in_one_line, refused
from registry.git.clones import Clone
from registry.git.local import copy_local, local_directory
from registry.git.packs import check_pack
from registry.git.wire import PinnedClient, pinned_addresses, receive

MAX_BRANCH: Final = 200
MAX_NAME: Final = 120
_ID: Final = re.compile(r"[0-9a-f]{40}")
_LOCAL: Final = "file:"
_CONFIG: Final = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where repositories may come from: hosts by the address policy, directories of this host below `roots`.

    The vault opens their credentials; only the process that fetches can read its key.
    """

    addresses: AddressPolicy
    roots: tuple[Path, ...] = ()
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    vault: Vault | None = None


def check_source(url: str, branch: str, sources: Sources) -> str:
    """Returns the URL in one spelling. Raises `Invalid` at the field for what could not be fetched as it is written.

    A name is resolved and its addresses are looked at, so that nobody keeps a way into the network in the registry;
    they are looked at again by every fetch.
    """
    _branch_of(branch)
    if url.startswith(_LOCAL):
        local_directory(url, sources.roots)
        return url
    target = _target_of(url)
    try:
        pinned_addresses(target, sources.addresses)
    except DomainError as error:
        raise Invalid(error.message, errors={"url": [error.message]}, code=error.error_code) from error
    return target.url


def fault_of_address(url: str) -> str:
    """Returns what is wrong with an address as it is written, empty when nothing is. Where it leads is not looked at."""
    if url.startswith(_LOCAL):
        return ""
    try:
        _target_of(url)
    except Invalid as error:
        return error.message
    return ""


def name_of_address(url: str) -> str:
    """Returns how people call the repository at an address: its last part."""
    return url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")[:MAX_NAME] or "repository"


def address_of(url: str) -> str:
    """Returns the one spelling of the address that a credential can be bound to. A directory of this host asks for none."""
    if url.startswith(_LOCAL):
        raise Invalid("A directory of this host asks for no credential.", code="git_no_credential")
    return _target_of(url).url


@contextmanager
def fetched(
    url: str, *, sources: Sources, branch: str = "", bounds: Bounds | None = None, sealed: Sealed | None = None
) -> Iterator[Clone]:
    """Yields a clone of one branch (empty: the repository's own choice) in a directory that goes with the `with`.

    Raises `Invalid` with a code `git_…` and one line when the repository is not fit to be taken in, and `Unavailable`
    when it could not be reached. A credential is opened for this fetch; nothing that is raised or read shows it.
    """
    limits = bounds or Bounds()
    login = _opened(url, sealed, sources)
    with (
        _cleaned(login),
        tempfile.TemporaryDirectory(prefix="hanse-git-", ignore_cleanup_errors=True) as name,
        Watch(limits.seconds) as watch,
    ):
        top = Path(name) / "repository"
        store = _furnish(top)
        try:
            with _explained(watch, login):
                commit, own, ends = _take_in(url, _branch_of(branch), store, sources, limits, watch, login)
                _settle(top, commit, ends)
            shown = in_one_line(login.clean(own).decode("utf-8", "replace"))
            yield Clone(top, store, commit.decode("ascii"), shown, limits, watch, login)
        finally:
            store.close()


def _opened(url: str, sealed: Sealed | None, sources: Sources) -> Login:
    if sealed is None:
        return NOBODY
    if sources.vault is None:
        raise Unavailable("There is nothing here to open credentials of repositories.", code="credential_key_missing")
    return sources.vault.open(sealed, _target_of(url))


@contextmanager
def _cleaned(login: Login) -> Iterator[None]:
    """Whatever is said about a server that was shown a credential is said without it, and without what led to it."""
    try:
        yield
    except (Invalid, Unavailable) as error:
        if not login.is_shown:
            raise
        raise type(error)(login.clean_text(error.message), code=error.error_code) from None


@contextmanager
def _explained(watch: Watch, login: Login) -> Iterator[None]:
    """Whatever a hostile server provokes becomes one line."""
    try:
        yield
    except DomainError:
        watch.check()
        raise
    except Exception as error:
        watch.check()
        words = in_one_line(login.clean_text(str(error))) or type(error).__name__
        raise Invalid(f"The repository's data is broken: {words}.", code="git_broken") from error


def _take_in(
    url: str, branch: bytes | None, store: DiskObjectStore, sources: Sources, bounds: Bounds, watch: Watch, login: Login
) -> tuple[bytes, bytes, Iterable[bytes]]:
    if url.startswith(_LOCAL):
        return copy_local(local_directory(url, sources.roots), branch, store, bounds, watch)
    target = _target_of(url)
    addresses = pinned_addresses(target, sources.addresses)
    client = PinnedClient(target, addresses, bounds=bounds, watch=watch, tls=sources.tls, login=login)
    file, commit, abort = store.add_pack()
    try:
        found = receive(client, branch, bounds.commits, file.write)
        _look_at(file, bounds, watch)
    except BaseException:
        abort()
        raise
    commit()
    watch.check()
    return found


def _look_at(file: BinaryIO, bounds: Bounds, watch: Watch) -> None:
    if not file.tell():
        raise refused("broken", "The server gave no data for the commit that it names.")
    file.flush()
    with mmap(file.fileno(), 0, access=ACCESS_READ) as contents:
        check_pack(contents, bounds, watch)


def _target_of(url: str) -> ParsedUrl:
    target = check_url(url)
    if "?" in target.path:
        said = "The address of a repository has no query."
        raise Invalid(said, errors={"url": [said]}, code="url_path")
    return target


def _branch_of(branch: str) -> bytes | None:
    if not branch:
        return None
    name = branch.encode("utf-8", "replace")
    if len(branch) > MAX_BRANCH or not check_ref_format(Ref(b"refs/heads/" + name)):
        said = "That cannot be the name of a branch."
        raise Invalid(said, errors={"branch": [said]}, code="git_branch")
    return name


def _furnish(top: Path) -> DiskObjectStore:
    """Makes the least that is a repository, without the templates and settings of anybody."""
    inner = top / ".git"
    for folder in ("refs/heads", "objects/pack", "objects/info"):
        (inner / folder).mkdir(parents=True)
    (inner / "config").write_text(_CONFIG, encoding="ascii")
    return DiskObjectStore(os.fspath(inner / "objects"))


def _settle(top: Path, commit: bytes, ends: Iterable[bytes]) -> None:
    """Writes which commit is checked out, and where its history ends. No name that a stranger chose is written."""
    text = commit.decode("ascii")
    lines = sorted(one.decode("ascii") for one in ends)
    if not all(_ID.fullmatch(name) for name in (text, *lines)):
        raise refused("unknown_format", "Only repositories whose ids are SHA-1 are taken in.")
    (top / ".git" / "HEAD").write_text(f"{text}\n", encoding="ascii")
    if lines:
        (top / ".git" / "shallow").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
