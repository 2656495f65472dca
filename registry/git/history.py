"""When files of a clone were changed last, as far as its history says so within bounds."""

import stat
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from dulwich.objects import Commit, ObjectID

from kernel.errors import Invalid
from registry.git.clones import Clone, Entry, moment_of

MAX_COMMITS: Final = 1_000
MAX_LOOKED_AT: Final = 500_000
"""How many lines of folders are compared; a history that costs more is not followed to its end."""


def last_changes(clone: Clone, paths: set[bytes]) -> dict[bytes, datetime]:
    """Returns for each of these files the time of the newest commit, along first parents, that changed it.

    What was changed before the history ends, or before the bounds do, has the time of the oldest commit looked at.
    """
    found: dict[bytes, datetime] = {}
    left, looked_at = set(paths), [0]
    commit = clone.read_commit(clone.commit)
    for _step in range(MAX_COMMITS):
        before = _parent_of(clone, commit)
        if before is None or not left or looked_at[0] > MAX_LOOKED_AT:
            break
        try:
            changed = left.intersection(_changed(clone, commit.tree, before.tree, looked_at))
        except Invalid:
            clone.watch.check()
            break  # a folder of long ago was left out, so nothing older can be compared
        found |= dict.fromkeys(changed, moment_of(commit))
        left -= changed
        commit = before
    return found | dict.fromkeys(left, moment_of(commit))


def _parent_of(clone: Clone, commit: Commit) -> Commit | None:
    parent = commit.parents[0].decode("ascii", "replace") if commit.parents else ""
    return clone.read_commit(parent) if parent and clone.knows(parent) else None


def _changed(clone: Clone, after: ObjectID, before: ObjectID, looked_at: list[int]) -> Iterator[bytes]:
    """Yields the files of a tree that the earlier one has otherwise or not at all. What is alike is not entered."""
    waiting: list[tuple[bytes, ObjectID, ObjectID | None, int]] = [(b"", after, before, 0)]
    while waiting and looked_at[0] <= MAX_LOOKED_AT:
        clone.watch.check()
        prefix, new, old, depth = waiting.pop()
        known = {} if old is None else {entry.path: entry for entry in clone.folder(prefix, old)}
        for entry in clone.folder(prefix, new):
            looked_at[0] += 1
            was = known.get(entry.path)
            if was is not None and was.blob == entry.blob:
                continue
            if not stat.S_ISDIR(entry.mode):
                yield entry.path
            elif depth < clone.bounds.depth:
                waiting.append((entry.path + b"/", ObjectID(entry.blob), _folder_of(was), depth + 1))


def _folder_of(entry: Entry | None) -> ObjectID | None:
    return ObjectID(entry.blob) if entry is not None and stat.S_ISDIR(entry.mode) else None
