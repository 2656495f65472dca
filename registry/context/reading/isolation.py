"""Reads a document. What has a binary format is read in a process of its own, which may die and has little to lose."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any, Final

from registry.context.reading.formats import BINARY, MAX_BINARY, read_text
from registry.context.reading.sections import Block, Reading, Section, Unreadable, titled

MAX_SECONDS: Final = 45
MAX_CPU_SECONDS: Final = 30
MAX_MEMORY: Final = 1_000_000_000
MAX_OUTPUT: Final = 40_000_000

_ROOT: Final = Path(__file__).resolve().parent.parent.parent.parent
_MODULE: Final = "registry.context.reading.child"


def read_document(path: str, content: bytes) -> Reading:
    """Returns the sections of a document. Raises `Unreadable` with a sentence for whoever brought it."""
    kind = BINARY.get(PurePosixPath(path).suffix.lower(), "")
    try:
        reading = _read_apart(kind, content) if kind else read_text(path, content)
    except (RecursionError, MemoryError):
        raise Unreadable("It is nested too deeply to be read.") from None
    return titled(reading, [PurePosixPath(path).stem])


def _read_apart(kind: str, content: bytes) -> Reading:
    if len(content) > MAX_BINARY:
        raise Unreadable(f"It has {len(content):,} bytes; a document of this kind may have {MAX_BINARY:,}.")
    limits = [str(limit) for limit in (MAX_MEMORY, MAX_CPU_SECONDS, MAX_OUTPUT)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _START, str(_ROOT), kind, *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        output, _errors = process.communicate(content, timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"Reading it took more than {MAX_SECONDS} seconds.") from None
    finally:
        _end(process)
    return _understood(process.returncode, output)


# The path is given by hand because the process is isolated from environment and directory.
_START: Final = f"import sys; sys.path.insert(0, sys.argv.pop(1)); from {_MODULE} import main; main()"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _understood(code: int, output: bytes) -> Reading:
    if code == -signal.SIGXCPU:
        raise Unreadable(f"Reading it took more than {MAX_CPU_SECONDS} seconds of work.")
    try:
        found: dict[str, Any] = json.loads(output) if code == 0 else {}
    except ValueError:
        found = {}
    if fault := found.get("fault"):
        raise Unreadable(str(fault))
    if "sections" not in found:
        raise Unreadable("It is damaged, or needs more memory than a document may: its reader ended without a word.")
    sections = [
        Section(tuple(heading), tuple(Block(*block) for block in blocks)) for heading, blocks in found["sections"]
    ]
    return Reading(str(found["title"]), tuple(sections))
