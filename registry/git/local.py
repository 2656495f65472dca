"""A repository in a directory of this host: only below the directories that the administrator listed, read as a clone.

Its configuration is not read, no link in it is followed to its data, and of its objects only the commits of one branch,
their folders and the files of the last one are taken, each after its size was looked at. Who listed the directory vouches
for who may write there.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from dulwich.object_store import DiskObjectStore
from dulwich.objects import Commit, ObjectID, ShaFile, Tree
from dulwich.pack import OFS_DELTA, Pack
from dulwich.refs import DiskRefsContainer, Ref

from kernel.errors import Invalid
from registry.git.bounds import Bounds, Watch, in_one_line, refused
from registry.git.clones import items_of
from registry.git.packs import peeked_size, read_head

_LONGEST_CHAIN: Final = 5_000
_SUBMODULE: Final = 0o160000
_FOLDER: Final = 0o040000
_ELSEWHERE: Final = ("commondir", "gitdir", "objects/info/alternates")
_OWN: Final = ("HEAD", "objects", "objects/pack", "refs", "packed-refs")


def local_directory(url: str, roots: tuple[Path, ...]) -> Path:
    """Returns the git directory that a `file:` URL names. What lies elsewhere is refused with the same words, there or not."""
    path = _path_of(url)
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        said = "That directory is not below one that the administrator listed for repositories."
        raise Invalid(said, errors={"url": [said]}, code="git_not_listed")
    for place in (real / ".git", real):
        if not place.is_symlink() and (place / "HEAD").is_file() and (place / "objects").is_dir():
            _check_own(place)
            return place
    raise refused("no_repository", "There is no git repository in that directory.")


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc not in {"", "localhost"} or not path.startswith("/") or "\0" in path or parts.query:
        said = "Write a directory of this host as file:///path."
        raise Invalid(said, errors={"url": [said]}, code="url_path")
    return path


def _check_own(place: Path) -> None:
    """A repository may borrow objects or refs from another, which nobody listed."""
    borrowed = any(os.path.lexists(place / name) for name in _ELSEWHERE)
    if borrowed or any((place / name).is_symlink() for name in _OWN):
        raise refused("borrowed", "The repository borrows from another one; offer a clone of its own.")


@dataclass(slots=True)
class Shelf:
    """The objects of a local repository, each given out only after its size, and that of all before, was looked at."""

    store: DiskObjectStore
    bounds: Bounds
    watch: Watch
    stack: ExitStack
    _maps: dict[str, mmap.mmap] = field(default_factory=dict)
    _count: int = 0
    _total: int = 0

    def take(self, name: bytes) -> ShaFile:
        """Returns an object."""
        self.watch.check()
        wanted = ObjectID(name)
        self._look_at_sizes(wanted)
        try:
            found = self.store[wanted]
        except KeyError:
            raise refused("incomplete", "The repository is incomplete: an object is missing.") from None
        self._count += 1
        self._total += found.raw_length()
        if self._count > self.bounds.objects:
            raise refused("too_many_objects", f"The repository has more than {self.bounds.objects:,} objects.")
        if self._total > self.bounds.inflated:
            raise refused("too_large", f"The repository unfolds to more than {self.bounds.inflated:,} bytes.")
        return found

    @property
    def has_room(self) -> bool:
        """Whether less than half of what may be taken was: the rest is never spent on what can be done without."""
        return 2 * self._count < self.bounds.objects and 2 * self._total < self.bounds.inflated

    def _look_at_sizes(self, name: ObjectID) -> None:
        """Looks at the object and at each one that it is a difference to. A loose one is bounded by the store."""
        for pack in self.store.packs:
            try:
                offset = pack.index.object_offset(name)
            except KeyError:
                continue
            self._look_at_chain(pack, offset)
            break

    def _look_at_chain(self, pack: Pack, offset: int) -> None:
        contents = self._map_of(pack)
        for _ in range(_LONGEST_CHAIN):
            head = read_head(contents, offset)
            if max(head.size, peeked_size(contents, head)) > self.bounds.blob:
                raise refused(
                    "blob_too_large", f"The repository holds an object of more than {self.bounds.blob:,} bytes."
                )
            if not head.is_delta:
                return
            base = head.base
            offset = (
                offset - cast("int", base)
                if head.kind == OFS_DELTA
                else pack.index.object_offset(cast("ObjectID", base))
            )
        raise refused("broken", "The repository's objects are differences of differences without end.")

    def _map_of(self, pack: Pack) -> mmap.mmap:
        path = os.fspath(pack.data.path)
        if path not in self._maps:
            with Path(path).open("rb") as file:
                self._maps[path] = self.stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return self._maps[path]


def copy_local(
    place: Path, branch: bytes | None, store: DiskObjectStore, bounds: Bounds, watch: Watch
) -> tuple[bytes, bytes, list[bytes]]:
    """Copies a branch into an empty store. Returns commit, branch, and the commits whose parents were left out."""
    with ExitStack() as stack:
        source = DiskObjectStore(place / "objects", loose_object_size_limit=bounds.blob)
        stack.callback(source.close)
        shelf = Shelf(source, bounds, watch, stack)
        commit, name = _tip_of(place, branch)
        commits, ends = _copy_commits(shelf, store, commit, bounds.commits)
        _copy_files(shelf, store, commit)
        _copy_folders(shelf, store, commits)
    return commit, name, ends


def _tip_of(place: Path, branch: bytes | None) -> tuple[bytes, bytes]:
    refs = DiskRefsContainer(place)
    wanted = Ref(b"HEAD" if branch is None else b"refs/heads/" + branch)
    try:
        chain, commit = refs.follow(wanted)
    except (KeyError, ValueError, OSError):
        chain, commit = [], None
    if not commit and branch is not None:
        raise refused("no_branch", f"The repository has no branch {in_one_line(branch.decode('utf-8', 'replace'))}.")
    if not commit:
        raise refused("empty", "The repository has no commit yet.")
    return commit, branch or (chain[-1].removeprefix(b"refs/heads/") if len(chain) > 1 else b"")


def _copy_commits(shelf: Shelf, store: DiskObjectStore, tip: bytes, most: int) -> tuple[list[Commit], list[bytes]]:
    """Copies the newest commits, layer by layer; the last ones end the history as in any shallow clone."""
    layer, seen, ends, copied = [tip], {tip}, list[bytes](), list[Commit]()
    while layer:
        following: list[bytes] = []
        for name in layer:
            commit = shelf.take(name)
            if not isinstance(commit, Commit):
                raise refused("broken", "The repository is broken: its history leads to what is no commit.")
            store.add_object(commit)
            copied.append(commit)
            older = [parent for parent in commit.parents if parent not in seen]
            if len(seen) + len(older) > most:
                ends.append(name)
            else:
                seen.update(older)
                following += older
        layer = following
    return copied, ends


def _copy_files(shelf: Shelf, store: DiskObjectStore, tip: bytes) -> None:
    commit = store[ObjectID(tip)]
    waiting, seen = [(cast("Commit", commit).tree, 0)], {cast("Commit", commit).tree}
    while waiting:
        name, depth = waiting.pop()
        if depth > shelf.bounds.depth:
            raise refused("too_deep", f"The repository's folders are more than {shelf.bounds.depth} deep.")
        found = shelf.take(name)
        store.add_object(found)
        for below, is_folder in _below(found):
            if below not in seen:
                seen.add(below)
                if is_folder:
                    waiting.append((below, depth + 1))
                else:
                    store.add_object(shelf.take(below))


def _copy_folders(shelf: Shelf, store: DiskObjectStore, commits: list[Commit]) -> None:
    """Copies the folders of earlier commits, the newest first, by which they are compared, as far as there is room.

    The last commit is whole without them, so what is missing or too much among them only ends what can be compared.
    """
    seen: set[bytes] = set()
    try:
        for commit in commits:
            waiting = [(commit.tree, 0)]
            while waiting:
                name, depth = waiting.pop()
                if name in seen or depth > shelf.bounds.depth:
                    continue
                if not shelf.has_room:
                    return
                seen.add(name)
                found = shelf.take(name)
                store.add_object(found)
                waiting += [(below, depth + 1) for below, is_folder in _below(found) if is_folder]
    except Invalid:
        shelf.watch.check()


def _below(found: ShaFile) -> Iterator[tuple[ObjectID, bool]]:
    if not isinstance(found, Tree):
        raise refused("broken", "The repository is broken: a folder in it is none.")
    for item in items_of(found):
        if item.mode != _SUBMODULE:
            yield item.sha, item.mode == _FOLDER
