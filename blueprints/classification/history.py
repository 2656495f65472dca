"""The commit's list of files and the history, through the git binary on a scratch repository.

The repository's own configuration is never read: it can name programs (monitors, filters, signature checkers, fetch
commands) that git would start. The scratch directory borrows nothing but the objects.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from blueprints.classification.checkout import Checkout, shallow_commits
from blueprints.classification.signals import Finding, found
from kernel.clock import timestamp

_SECONDS: Final = 60
_OUTPUT: Final = 64 * 1024 * 1024
MAX_COMMITS: Final = 10_000
_ENTRY: Final = re.compile(rb"(\d{6}) (\w+) ([0-9a-f]{40,64})\t(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit holds: the object of each file, and the directories that lead to them."""

    blobs: dict[str, str]
    folders: frozenset[str]
    submodules: int

    def lists(self, path: str) -> bool:
        """Tells whether the commit has a file here, or below here."""
        return path in self.blobs or path in self.folders


@dataclass(frozen=True, slots=True)
class History:
    """What git could say of a commit; `why` says why it could not."""

    committed: Committed | None = None
    commits: list[tuple[int, str, str]] = field(default_factory=list)
    shallow: bool = False
    why: str = ""


def read_history(checkout: Checkout, commit: str | None) -> History:
    """Returns files and past of the commit; without git, a commit or readable objects it says what is missing."""
    git = shutil.which("git")
    if commit is None:
        return History(why="no commit is checked out")
    if git is None:
        return History(why="the git program is missing")
    if os.path.lexists(checkout.common / "objects" / "info" / "alternates"):
        return History(why="the objects lie in another repository; classify a clone of its own")
    shallow = shallow_commits(checkout)
    with _scratch(checkout, commit, shallow) as environment:
        listing = _ask(git, environment, "ls-tree", "-r", "-z", "--full-tree", commit)
        log = _ask(git, environment, "log", f"--max-count={MAX_COMMITS}", "-z", "--format=%ct%x1f%ae%x1f%s", commit)
    if listing is None or log is None:
        return History(why="git could not read the commit")
    return History(_committed(listing), list(_parse_log(log)), bool(shallow))


@contextmanager
def _scratch(checkout: Checkout, commit: str, shallow: list[str]) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="hanse-classify-") as name:
        scratch = Path(name)
        (scratch / "refs").mkdir()
        (scratch / "objects").mkdir()
        (scratch / "HEAD").write_text("ref: refs/heads/none\n")
        version = "1\n[extensions]\n\tobjectFormat = sha256" if len(commit) == 64 else "0"
        (scratch / "config").write_text(f"[core]\n\tbare = true\n\trepositoryformatversion = {version}\n")
        if shallow:
            (scratch / "shallow").write_text("".join(f"{line}\n" for line in shallow))
        yield {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": name,
            "LC_ALL": "C",
            "GIT_DIR": name,
            "GIT_OBJECT_DIRECTORY": str(checkout.common / "objects"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "",
        }


def _ask(git: str, environment: dict[str, str], *words: str) -> bytes | None:
    """Returns what git prints, or None when it fails, prints more than the bound or takes too long."""
    with subprocess.Popen(
        [git, "--no-pager", *words],
        env=environment,
        cwd=environment["GIT_DIR"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        late = threading.Timer(_SECONDS, process.kill)
        late.start()
        try:
            output = process.stdout.read(_OUTPUT + 1) if process.stdout else b""
            if len(output) > _OUTPUT:
                process.kill()
        finally:
            late.cancel()
    return None if process.returncode else output


def _committed(listing: bytes) -> Committed:
    blobs: dict[str, str] = {}
    folders: set[str] = set()
    submodules = 0
    for entry in filter(None, listing.split(b"\0")):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            continue
        path = match[4].decode("utf-8", "surrogateescape")
        submodules += match[2] == b"commit"
        if match[2] == b"blob":
            blobs[path] = match[3].decode() if match[1] != b"120000" else ""
        folders.update(_parents(path, folders))
    return Committed(blobs, frozenset(folders), submodules)


def _parents(path: str, known: set[str]) -> Iterator[str]:
    parent = path.rpartition("/")[0]
    while parent and parent not in known:
        yield parent
        parent = parent.rpartition("/")[0]


def _parse_log(log: bytes) -> Iterator[tuple[int, str, str]]:
    for line in filter(None, log.decode("utf-8", "replace").split("\0")):
        when, _, rest = line.partition("\x1f")
        author, _, subject = rest.partition("\x1f")
        if when.isdigit():
            yield int(when), author.lower(), subject


def is_blob(data: bytes, blob: str) -> bool:
    """Tells whether these bytes are the object that the commit names."""
    algorithm = "sha256" if len(blob) == 64 else "sha1"
    made = hashlib.new(algorithm, b"blob %d\0" % len(data), usedforsecurity=False)
    made.update(data)
    return made.hexdigest() == blob


def find_history(history: History, *, now: datetime) -> dict[str, Finding]:
    """Returns the signals of the past. Authors are counted and not named."""
    if not history.commits:
        why = history.why or "git shows no commit"
        return {"history.shared": found(None, missing=why), "history.alive": found(None, missing=why)}
    times = [when for when, _, _ in history.commits]
    authors = len({author for _, author, _ in history.commits})
    reverts = sum(subject.startswith('Revert "') for _, _, subject in history.commits)
    idle = max(0, (now - _moment(max(times))).days)
    bound = history.shallow or len(times) >= MAX_COMMITS
    return {
        "history.shared": found(authors >= 2, authors=authors, commits=len(times), reverts=reverts, at_least=bound),
        "history.alive": found(
            idle <= 180,
            first=timestamp(_moment(min(times))),
            last=timestamp(_moment(max(times))),
            age_days=(max(times) - min(times)) // 86400,
            idle_days=idle,
        ),
    }


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)
