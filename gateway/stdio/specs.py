"""Which servers to run and with what: the list that the runner is given, checked before anything starts."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kernel.errors import Invalid

MAX_SERVERS: Final = 10_000
_UID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# These change which code runs, or are ours to set.
_CLOSED_NAMES: Final = re.compile(
    r"(LD_|DYLD_|PYTHON|PERL5?|RUBY|NODE_OPTIONS|JAVA_TOOL_OPTIONS|BASH_|ENV\Z|IFS\Z|PATH\Z|HOME\Z|TMPDIR\Z|HANSE_).*"
)
_FIELDS: Final = frozenset({"uid", "command", "env", "cwd", "memory_mb"})
_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server process and one call may use."""

    memory_mb: int = 2048
    cpu_seconds: int = 3600
    open_files: int = 512
    processes: int = 128
    file_mb: int = 1024
    start_seconds: float = 30.0
    call_seconds: float = 300.0
    idle_seconds: float = 900.0
    backoff_seconds: float = 0.5
    backoff_max_seconds: float = 60.0
    message_bytes: int = 8 * _MEGABYTE
    """What a server may say without being asked before it counts as a flood."""
    noise_bytes: int = 8 * _MEGABYTE
    stderr_bytes: int = 64 * 1024
    in_flight: int = 64
    """Processes that may run at the same time, all servers together."""
    running: int = 100
    """Calls in a row without any answer after which the process counts as hung."""
    timeouts: int = 3


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One local server. Its environment values may be secrets, so it never prints itself."""

    uid: str
    command: tuple[str, ...] = field(repr=False)
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cwd: str | None = None
    memory_mb: int | None = None


def read_specs(value: Any) -> dict[str, ServerSpec]:
    """Returns the servers by uid, or raises Invalid that names the entry and never quotes a value."""
    specs, refused = sort_specs(value)
    for reason in refused.values():
        raise Invalid(reason)
    return specs


def sort_specs(value: Any) -> tuple[dict[str, ServerSpec], dict[str, str]]:
    """Returns the servers by uid, and for each entry that is refused why: one bad entry stops no other server."""
    if not isinstance(value, list) or len(value) > MAX_SERVERS:
        raise Invalid(f"Give a list of at most {MAX_SERVERS} servers.")
    specs: dict[str, ServerSpec] = {}
    refused: dict[str, str] = {}
    for position, entry in enumerate(value):
        try:
            spec = _read_spec(entry, position)
        except Invalid as error:
            refused[_name_of(entry, position)] = error.message
            continue
        if spec.uid in specs:
            refused[_name_of(entry, position)] = f"servers[{position}]: this uid stands in the list already."
        else:
            specs[spec.uid] = spec
    return specs, refused


def _name_of(entry: Any, position: int) -> str:
    uid = entry.get("uid") if isinstance(entry, dict) else None
    return uid if isinstance(uid, str) and _UID.fullmatch(uid) else f"servers[{position}]"


def _read_spec(entry: Any, position: int) -> ServerSpec:
    where = f"servers[{position}]"
    if not isinstance(entry, dict) or not entry.keys() <= _FIELDS:
        raise Invalid(f"{where}: an object with {', '.join(sorted(_FIELDS))}.")
    uid = entry.get("uid")
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise Invalid(f"{where}.uid: 1 to 64 letters, digits, '-' or '_'.")
    memory = entry.get("memory_mb")
    if memory is not None and not (isinstance(memory, int) and 64 <= memory <= 65536):
        raise Invalid(f"{where}.memory_mb: 64 to 65536.")
    return ServerSpec(uid, _read_command(entry, where), _read_env(entry, where), _read_cwd(entry, where), memory)


def _read_command(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    command = entry.get("command")
    if not isinstance(command, list) or not 0 < len(command) <= 64 or not all(map(_is_argument, command)):
        raise Invalid(f"{where}.command: a list of 1 to 64 texts.")
    if not command[0]:
        raise Invalid(f"{where}.command: the program is missing.")
    return tuple(command)


def _is_argument(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 4096 and "\0" not in value


def _read_env(entry: Mapping[str, Any], where: str) -> tuple[tuple[str, str], ...]:
    env = entry.get("env") or {}
    if not isinstance(env, dict) or len(env) > 64 or not all(map(_is_argument, env.values())):
        raise Invalid(f"{where}.env: an object of at most 64 texts.")
    for name in env:
        if not _NAME.fullmatch(name) or _CLOSED_NAMES.match(name):
            raise Invalid(f"{where}.env: the name {name[:64]!r} is not allowed.")
    return tuple(sorted(env.items()))


def _read_cwd(entry: Mapping[str, Any], where: str) -> str | None:
    cwd = entry.get("cwd")
    if cwd is None:
        return None
    if not isinstance(cwd, str) or "\0" in cwd or not Path(cwd).is_absolute():
        raise Invalid(f"{where}.cwd: an absolute path.")
    return cwd


def environment_for(spec: ServerSpec, home: str) -> dict[str, str]:
    """Returns the whole environment of a server: nothing of the runner's own is in it."""
    # Servers installed beside us come first; the rest is the system's default, not the runner's PATH.
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {**dict(spec.env), "PATH": path, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}


def resource_limits(spec: ServerSpec, limits: Limits) -> dict[str, int]:
    """Returns the kernel's limits by their names in the `resource` module."""
    found = {
        "RLIMIT_AS": (spec.memory_mb or limits.memory_mb) * _MEGABYTE,
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_FSIZE": limits.file_mb * _MEGABYTE,
        "RLIMIT_CORE": 0,
    }
    # The kernel counts all processes of the user, and does not count for root at all.
    if os.getuid() != 0:
        found["RLIMIT_NPROC"] = _own_processes() + limits.processes
    return found


def _own_processes() -> int:
    proc = Path("/proc")
    if not proc.is_dir():
        return 1024
    return sum(1 for entry in proc.iterdir() if entry.name.isdigit() and _owner(entry) == os.getuid())


def _owner(entry: Path) -> int | None:
    try:
        return entry.stat().st_uid
    except OSError:
        return None
