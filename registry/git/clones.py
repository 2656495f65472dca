"""What was fetched: commits, trees and files of one branch, in a private directory, and how they become a checkout."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from dulwich.errors import ObjectFormatException
from dulwich.index import validate_path, validate_path_element_hfs, validate_path_element_ntfs
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree, parse_tree

from kernel import clock
from kernel.errors import Invalid
from registry.git.access import NOBODY, Login
from registry.git.bounds import Bounds, Watch, in_one_line, refused

_SUBMODULE: Final = 0o160000
_LONGEST_LINK: Final = 4_096
_LARGEST_FOLDER: Final = 8 * 1024 * 1024


class Item(NamedTuple):
    """One line of a folder."""

    path: bytes
    mode: int
    sha: ObjectID


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a link of the commit: where it stands, its mode, and the id of what it holds."""

    path: bytes
    mode: int
    blob: bytes

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link; then what it holds is where it leads."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_program(self) -> bool:
        """Whether its owner may execute it."""
        return bool(self.mode & stat.S_IXUSR)

    @property
    def shown(self) -> str:
        """The path as one line of text."""
        return in_one_line(self.path.decode("utf-8", "backslashreplace"))


@dataclass(slots=True)
class Clone:
    """One fetched commit. Its directory is gone with the `fetched` that gave it."""

    top: Path
    store: DiskObjectStore
    commit: str
    branch: str
    bounds: Bounds
    watch: Watch
    login: Login = NOBODY
    _written: int = field(default=0)

    @property
    def committed_at(self) -> datetime:
        """When the commit was made, as it says itself; what it says of the future is now."""
        return moment_of(self.read_commit(self.commit))

    def knows(self, commit: str) -> bool:
        """Tells whether an earlier commit is here, so that the two can be compared."""
        try:
            return self.read_commit(commit).tree in self.store
        except Invalid:
            return False

    def entries(self, commit: str = "") -> Iterator[Entry]:
        """Yields files and links of the commit, or of another one that is here, each path checked.

        Submodules are other repositories and left out.
        """
        for entry, is_folder in self._walk(commit or self.commit):
            if not is_folder:
                yield entry

    def read(self, entry: Entry) -> bytes:
        """Returns what a file holds, without the credential that its server was shown. Its size was bounded before."""
        found = self._object(entry.blob)
        if not isinstance(found, Blob):
            raise refused("broken", f"The repository is broken: {entry.shown} is not a file.")
        return self.login.clean(found.as_raw_string())

    def check_out(self) -> Path:
        """Returns the directory with the files of the commit written out. Nothing of them runs, no filter, no hook.

        Links come last, so that nothing is ever written through one, and only those that stay inside come at all.
        """
        links: list[Entry] = []
        for entry, is_folder in self._walk(self.commit):
            if is_folder:
                self._make(entry)
            elif entry.is_link:
                links.append(entry)
            else:
                self._write(entry)
        for link in links:
            self._link(link)
        return self.top

    def read_commit(self, name: str) -> Commit:
        """Returns a commit that is here."""
        found = self._object(name.encode("ascii", "replace"))
        if not isinstance(found, Commit):
            raise refused("broken", "The repository is broken: its branch leads to no commit.")
        return found

    def _walk(self, commit: str) -> Iterator[tuple[Entry, bool]]:
        """Yields every folder before what is in it. The same tree may stand in many places, so entries are counted."""
        waiting, count = [(b"", self.read_commit(commit).tree, 0)], 0
        while waiting:
            prefix, tree, depth = waiting.pop()
            if depth > self.bounds.depth:
                raise refused("too_deep", f"The repository's folders are more than {self.bounds.depth} deep.")
            for entry in self.folder(prefix, tree):
                self.watch.check()
                count += 1
                if count > self.bounds.files:
                    raise refused(
                        "too_many_files", f"The repository has more than {self.bounds.files:,} files and folders."
                    )
                if stat.S_ISDIR(entry.mode):
                    yield entry, True
                    waiting.append((entry.path + b"/", ObjectID(entry.blob), depth + 1))
                elif entry.mode != _SUBMODULE:
                    yield entry, False

    def folder(self, prefix: bytes, tree: ObjectID) -> Iterator[Entry]:
        """Yields what stands in one folder, each name checked."""
        found = self._object(tree)
        if not isinstance(found, Tree):
            raise refused("broken", "The repository is broken: a folder in it is none.")
        if self.login.clean(names := found.as_raw_string()) != names:
            raise refused(
                "credential_shown", "The repository has a path with the credential in it that it was asked with."
            )
        for item in items_of(found):
            entry = Entry(prefix + item.path, item.mode, item.sha)
            if b"/" in item.path or not _is_honest(item.path):
                raise refused("unsafe_path", f"The repository has a path that leads elsewhere: {entry.shown}.")
            if not (stat.S_ISREG(item.mode) or stat.S_ISDIR(item.mode) or entry.is_link or item.mode == _SUBMODULE):
                raise refused("broken", f"The repository is broken: {entry.shown} is neither file nor folder.")
            yield entry

    def _object(self, name: bytes) -> ShaFile:
        try:
            return self.store[ObjectID(name)]
        except (KeyError, ValueError):
            raise refused("incomplete", "The repository is incomplete: a part of the commit was left out.") from None

    def _make(self, entry: Entry) -> None:
        self._on_disk(entry, lambda place: place.mkdir(0o755))

    def _write(self, entry: Entry) -> None:
        data = self.read(entry)
        self._written += len(data)
        if self._written > self.bounds.checkout:
            raise refused("too_large", f"The files of the repository have more than {self.bounds.checkout:,} bytes.")

        def write(place: Path) -> None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(place, flags, 0o755 if entry.is_program else 0o644), "wb") as file:
                file.write(data)

        self._on_disk(entry, write)

    def _link(self, entry: Entry) -> None:
        target = self.read(entry)
        if not stays_inside(entry.path, target):
            raise refused("unsafe_link", f"The repository has a link that leads out of it: {entry.shown}.")
        self._on_disk(entry, lambda place: place.symlink_to(os.fsdecode(target)))

    def _on_disk(self, entry: Entry, act: Callable[[Path], object]) -> None:
        try:
            act(self.top / os.fsdecode(entry.path))
        except FileExistsError:
            raise refused("unsafe_path", f"The repository names a path twice: {entry.shown}.") from None
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or str(error)
            raise refused("unwritable", f"{entry.shown} cannot be written here: {in_one_line(words)}.") from error


def moment_of(commit: Commit) -> datetime:
    """Returns when a commit was made. The time is a number of a stranger: any may stand there, so none is in the future."""
    return datetime.fromtimestamp(min(max(commit.commit_time, 0), clock.now().timestamp()), UTC)


def items_of(folder: Tree) -> list[Item]:
    """Returns what stands in a folder, as it is written there. A name that stands twice is a trap: readers differ."""
    if folder.raw_length() > _LARGEST_FOLDER:
        raise refused("too_many_files", "The repository has a folder that is too large to be read.")
    try:
        found = [Item(name, mode, ObjectID(sha)) for name, mode, sha in parse_tree(folder.as_raw_string(), 20)]
    except ObjectFormatException:
        raise refused("broken", "The repository is broken: a folder in it cannot be read.") from None
    if len({item.path for item in found}) != len(found):
        raise refused("unsafe_path", "The repository names a path twice in one folder.")
    return found


def _is_honest(name: bytes) -> bool:
    """Tells whether a name is one anywhere: neither empty, nor a way up, nor any spelling of `.git`."""
    ntfs, hfs = (validate_path(name, check) for check in (validate_path_element_ntfs, validate_path_element_hfs))
    return b"\0" not in name and ntfs and (hfs or not _is_text(name))


def _is_text(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def stays_inside(path: bytes, target: bytes) -> bool:
    """Tells whether a link at `path` stays in the tree, whatever other such links stand on its way.

    The folder of a link is a real one, so leading ways up can be counted. A way up behind a name could start at the
    end of another link, where nobody has counted, so there is none.
    """
    if not target or len(target) > _LONGEST_LINK or target.startswith(b"/") or b"\0" in target:
        return False
    steps = [step for step in target.split(b"/") if step not in {b"", b"."}]
    ups = 0
    while ups < len(steps) and steps[ups] == b"..":
        ups += 1
    return b".." not in steps[ups:] and ups <= path.count(b"/") and not _enters_git(path, steps, ups)


def _enters_git(path: bytes, steps: list[bytes], ups: int) -> bool:
    """Tells whether a link leads to the repository's own data, which no file of a commit may show."""
    folders = path.split(b"/")[:-1]
    whole = [*folders[: len(folders) - ups], *steps[ups:]]
    return bool(whole) and not _is_honest(whole[0])
