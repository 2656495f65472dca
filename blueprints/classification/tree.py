"""The files of a checkout, read as data: links are never followed, and how much is read has bounds that are said."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a repository is looked at. What lies beyond is said in the result and never assumed to be good."""

    entries: int = 100_000
    depth: int = 64
    file_bytes: int = 1024 * 1024
    total_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class Tree:
    """What the walk saw. `files` maps the path of each regular file to its size; other kinds are only counted."""

    root: Path
    bounds: Bounds
    files: dict[str, int] = field(default_factory=dict)
    links: int = 0
    special: int = 0
    nested: int = 0
    unlisted: int = 0
    unreadable: set[str] = field(default_factory=set)
    entries: int = 0
    read_bytes: int = 0
    cut: set[str] = field(default_factory=set)
    partial: set[str] = field(default_factory=set)
    texts: dict[str, bytes] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """Returns the text of a file that was read; empty for what was not, and for binary files."""
        data = self.texts.get(path, b"")
        return "" if b"\0" in data[:8192] else data.decode("utf-8", "replace")


def show(path: str) -> str:
    """Returns a path as one line of valid Unicode, whatever bytes its name has."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def walk(root: Path, bounds: Bounds, listed: Callable[[str], bool] | None = None) -> Tree:
    """Returns the tree below `root` in a fixed order. With `listed`, what a commit does not hold is left out."""
    tree = Tree(root, bounds)
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Invalid(f"{show(str(root))} cannot be read: {error.strerror}.") from error
    try:
        _walk_into(tree, handle, "", listed or (lambda _: True), 0)
    finally:
        os.close(handle)
    return tree


def _walk_into(tree: Tree, handle: int, prefix: str, listed: Callable[[str], bool], depth: int) -> None:
    for name in _names(tree, handle, prefix):
        if name == ".git":
            continue
        if tree.entries >= tree.bounds.entries:
            tree.cut.add("entries")
            return
        tree.entries += 1
        path = prefix + name
        try:
            mode = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError:
            tree.unreadable.add(path)
            continue
        if not listed(path):
            tree.unlisted += 1
        elif stat.S_ISDIR(mode.st_mode):
            _descend(tree, handle, path, listed, depth + 1)
        else:
            _note(tree, path, mode)


def _names(tree: Tree, handle: int, prefix: str) -> list[str]:
    try:
        return sorted(os.listdir(handle))
    except OSError:
        tree.unreadable.add(prefix)
        return []


def _note(tree: Tree, path: str, mode: os.stat_result) -> None:
    if stat.S_ISREG(mode.st_mode):
        tree.files[path] = mode.st_size
    elif stat.S_ISLNK(mode.st_mode):
        tree.links += 1
    else:
        tree.special += 1


def _descend(tree: Tree, parent: int, path: str, listed: Callable[[str], bool], depth: int) -> None:
    if depth > tree.bounds.depth:
        tree.cut.add("depth")
        return
    try:
        handle = os.open(path.rpartition("/")[2], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError:
        tree.unreadable.add(path)
        return
    try:
        if _has_git(handle):
            tree.nested += 1  # a submodule or another repository: its files are not this repository's
        else:
            _walk_into(tree, handle, path + "/", listed, depth)
    finally:
        os.close(handle)


def _has_git(handle: int) -> bool:
    try:
        os.stat(".git", dir_fd=handle, follow_symlinks=False)
    except OSError:
        return False
    return True


def read_into(tree: Tree, paths: Iterator[str]) -> None:
    """Reads files in this order until the bound on bytes is met; a file beyond its own bound is read from its start."""
    root = os.open(tree.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for path in paths:
            left = tree.bounds.total_bytes - tree.read_bytes
            if left <= 0:
                tree.cut.add("total_bytes")
                return
            _read_one(tree, root, path, min(left, tree.bounds.file_bytes))
    finally:
        os.close(root)


def _read_one(tree: Tree, root: int, path: str, limit: int) -> None:
    try:
        data = read_below(root, path, limit + 1)
    except OSError:
        tree.unreadable.add(path)
        return
    if len(data) > limit and b"\0" not in data[:8192]:
        tree.partial.add(path)
    tree.texts[path] = data[:limit]
    tree.read_bytes += min(len(data), limit)


def read_below(root: int, path: str, limit: int) -> bytes:
    """Returns at most `limit` bytes of a regular file below an open directory, following no link on the way."""
    handle = os.dup(root)
    try:
        *folders, name = path.split("/")
        for folder in folders:
            handle = _step(handle, folder, os.O_DIRECTORY)
        handle = _step(handle, name, os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("not a regular file")
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(limit)
    finally:
        os.close(handle)


def _step(handle: int, name: str, flags: int) -> int:
    """Returns the next handle on the way and closes the one before; on failure the one before stays open."""
    below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=handle)
    os.close(handle)
    return below
