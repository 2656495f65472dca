"""Where documents of an import come from on this machine: files, folders, and checkouts of git repositories."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dulwich.diff_tree import tree_changes
from dulwich.errors import NotGitRepository
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.repo import Repo

from kernel.errors import Invalid
from registry.context.entries import Entry, shown_path, too_large
from registry.context.reading.formats import ARCHIVE, format_of, is_wanted

_HIDDEN: Final = "."
_LEFT_OUT: Final = frozenset({"node_modules", "vendor", "__pycache__", "dist", "build", "target"})


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a place holds: its documents, its commit when it has one, and whether these are all that there are."""

    entries: Iterator[Entry]
    commit: str = ""
    is_whole: bool = False


def gather(path: Path, since: str = "") -> Gathered:
    """Returns the documents below a path: of a checkout what was committed since a commit, of a folder all files."""
    if path.is_file():
        return Gathered(iter([_file(path, path.name)]))
    if not path.is_dir():
        raise Invalid(f"There is nothing at {path}.", errors={"path": ["A file or a folder is needed."]})
    try:
        return from_checkout(Repo(str(path)), since)
    except NotGitRepository:
        return Gathered(_folder(path), is_whole=True)


def from_checkout(repository: Repo, since: str = "") -> Gathered:
    """Returns the documents of the commit that is checked out: the changes since an earlier one if it is known, else all.

    Only what is committed counts, so the files beside it need not be there; a bare repository does as well.
    """
    try:
        head = repository.head()
        commit = repository[head]
    except KeyError:
        raise Invalid("The repository has no commit yet, so there is nothing to read.") from None
    if not isinstance(commit, Commit):
        raise Invalid("What the repository has checked out is no commit.")
    before = _tree_of(repository, since)
    if before is None:
        return Gathered(_all(repository, commit), head.decode(), is_whole=True)
    return Gathered(_changes(repository, commit, before), head.decode())


def _tree_of(repository: Repo, commit: str) -> ObjectID | None:
    try:
        found = repository[commit.encode("ascii")] if commit else None
    except (KeyError, ValueError):
        return None  # the history was written anew, so everything is read again
    return found.tree if isinstance(found, Commit) else None


def _all(repository: Repo, commit: Commit) -> Iterator[Entry]:
    for entry in iter_tree_contents(repository.object_store, commit.tree):
        if entry.path is not None and entry.sha is not None and entry.mode is not None:
            yield from _blob(repository, commit, entry.path, entry.sha, entry.mode)


def _changes(repository: Repo, commit: Commit, before: ObjectID) -> Iterator[Entry]:
    for change in tree_changes(repository.object_store, before, commit.tree):
        old, new = change.old, change.new
        if new is not None and new.path is not None and new.sha is not None and new.mode is not None:
            yield from _blob(repository, commit, new.path, new.sha, new.mode)
        elif old is not None and old.path is not None:
            yield _gone(commit, old.path)


def _blob(repository: Repo, commit: Commit, raw: bytes, sha: ObjectID, mode: int) -> Iterator[Entry]:
    """Yields a document. A link is not followed, and a file that is no document any more is gone."""
    path = shown_path(raw.decode("utf-8", "replace"))
    if mode & 0o170000 != 0o100000 or not _may_be_wanted(path):
        return
    blob = repository[sha]
    if not isinstance(blob, Blob):
        return
    content = blob.as_raw_string()
    if fault := too_large(path, len(content)):
        yield _entry(commit, path, b"", fault)
    elif path.lower().endswith(ARCHIVE) or is_wanted(path, content):
        yield _entry(commit, path, content)
    else:
        yield _gone(commit, raw)


def _entry(commit: Commit, path: str, content: bytes, fault: str = "") -> Entry:
    at = datetime.fromtimestamp(commit.commit_time, UTC)
    return Entry(path=path, content=content, changed_at=at, commit=commit.id.decode(), fault=fault)


def _gone(commit: Commit, raw: bytes) -> Entry:
    at = datetime.fromtimestamp(commit.commit_time, UTC)
    return Entry(
        path=shown_path(raw.decode("utf-8", "replace")), content=None, changed_at=at, commit=commit.id.decode()
    )


def _folder(top: Path) -> Iterator[Entry]:
    for directory, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN) and name not in _LEFT_OUT)
        for name in sorted(names):
            path = Path(directory, name)
            shown = path.relative_to(top).as_posix()
            if path.is_file() and not path.is_symlink() and _may_be_wanted(shown):
                entry = _file(path, shown)
                if entry.fault or shown.lower().endswith(ARCHIVE) or is_wanted(shown, entry.content or b""):
                    yield entry


def _may_be_wanted(path: str) -> bool:
    """Archives of a repository are not documents of it; they are opened when somebody brings one."""
    return bool(format_of(path))


def _file(path: Path, shown: str) -> Entry:
    status = path.stat()
    at = datetime.fromtimestamp(status.st_mtime, UTC)
    if fault := too_large(shown, status.st_size):
        return Entry(path=shown, content=b"", changed_at=at, fault=fault)
    return Entry(path=shown, content=path.read_bytes(), changed_at=at)
