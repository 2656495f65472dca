"""Where a checkout keeps its repository, and which commit it is at: read from plain files, not through links."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blueprints.classification.tree import show
from kernel.errors import Invalid

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF: Final = re.compile(r"refs/(?!.*\.\.)[^\s~^:?*\[\\\x00-\x1f]{1,250}")
_SMALL: Final = 4096
_PACKED: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checkout:
    """The top of a checkout, the directory of its HEAD, and the directory of its objects and refs."""

    root: Path
    own: Path
    common: Path


def locate(path: Path) -> Checkout:
    """Returns the checkout whose top is `path`; anything else is refused with one line that says what it is."""
    name = show(str(path))
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise Invalid(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'not a path'}.") from error
    if not stat.S_ISDIR(mode):
        raise Invalid(f"{name} is not a directory.")
    root = path.resolve()
    inner = root / ".git"
    try:
        kind = inner.lstat().st_mode
    except OSError as error:
        bare = (root / "HEAD").is_file() and (root / "objects").is_dir()
        what = "a bare repository; classify a checkout of it" if bare else "not the top of a git checkout"
        raise Invalid(f"{name} is {what}.") from error
    if stat.S_ISDIR(kind):
        return _checked(Checkout(root, inner, inner), name)
    if stat.S_ISREG(kind):
        return _checked(_linked(root, inner, name), name)
    raise Invalid(f"{name} has a .git that is a link; classify the checkout itself.")


def _checked(checkout: Checkout, name: str) -> Checkout:
    objects = checkout.common / "objects"
    if not _plain(checkout.own / "HEAD") or objects.is_symlink() or not objects.is_dir():
        raise Invalid(f"{name} has a .git that is no git repository.")
    return checkout


def _linked(root: Path, inner: Path, name: str) -> Checkout:
    """Follows the file `.git` of a linked worktree only into a repository that lists this very worktree.

    The repository is where that list lies and not what `commondir` says: a checkout could write its own list.
    """
    target = _read(inner, _SMALL).removeprefix("gitdir:").strip()
    own = (root / target).resolve() if target and "\0" not in target else root
    back = _read(own / "gitdir", _SMALL).strip() if target else ""
    if not back or Path(os.path.normpath(own / back)) != inner or own.parent.name != "worktrees":
        raise Invalid(f"{name} has a .git file that points elsewhere (a submodule?); classify a clone of its own.")
    return Checkout(root, own, own.parent.parent)


def head_commit(checkout: Checkout) -> str | None:
    """Returns the commit that is checked out, or None when there is none yet or it cannot be read."""
    text = _read(checkout.own / "HEAD", _SMALL).strip()
    if not text.startswith("ref:"):
        return text if _COMMIT.fullmatch(text) else None
    ref = text.removeprefix("ref:").strip()
    if not _REF.fullmatch(ref):
        return None
    path = checkout.common / ref
    inside = path.parent.resolve().is_relative_to(checkout.common)
    loose = _read(path, _SMALL).strip() if inside else ""
    return loose if _COMMIT.fullmatch(loose) else _packed(checkout.common / "packed-refs", ref)


def _packed(path: Path, ref: str) -> str | None:
    for line in _read(path, _PACKED).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _COMMIT.fullmatch(commit):
            return commit
    return None


def shallow_commits(checkout: Checkout) -> list[str]:
    """Returns the commits at which a shallow clone ends."""
    return [line for line in _read(checkout.common / "shallow", _PACKED).split() if _COMMIT.fullmatch(line)]


def _plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _read(path: Path, limit: int) -> str:
    """Returns the start of a regular file, or nothing: a link here would lead out of the repository."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return ""
        return file.read(limit).decode("utf-8", "surrogateescape")
