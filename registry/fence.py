"""Keeps a program away from files, whatever its code does, by means of the kernel (Landlock, Linux >= 5.13).

`confine` leaves the process that calls it with nothing but what it names. To start another program:
`fence.py --hide DIR ... [--write DIR ...] -- PROGRAM ...`. Inside, files below a hidden directory cannot be opened, and
no process outside the fence can be traced or its memory read. With `--write`, only those directories can be written, so
that the program cannot plant code for a process outside. Root keeps no capability but the one to pass file modes.
Only the standard library is used, because this runs before everything else.
"""

import argparse
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

CANNOT: Final = 3  # exit code: the kernel has no Landlock

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH: Final = 1
_CREATE_RULESET_VERSION: Final = 1
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAP_DAC_OVERRIDE: Final = 1
_LAST_CAPABILITY: Final = 63

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ: Final = _EXECUTE | _READ_FILE
_FILE_RIGHTS: Final = _READ | _WRITE_FILE | 1 << 14  # truncate
_CHANGE: Final = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))  # remove and make entries of every kind
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty", "shm", "fd", "stdin", "stdout", "stderr")


def abi_version() -> int:
    """Returns the version of the kernel's Landlock, 0 when it has none."""
    return max(_syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION), 0)


def restrict(*, hidden: list[Path], writable: list[Path] | None) -> None:
    """Puts this process and everything it starts behind the fence, for good. Raises `OSError` when that fails."""
    version = _version()
    handled = _READ | _READ_DIR | (_changes(version) if writable is not None else 0)
    ruleset = _create(version, handled)
    _allow(ruleset, Path("/"), _READ_DIR)  # names may be listed, because imports do; contents may not be read
    for path in visible_roots([path.resolve() for path in hidden]):
        _allow(ruleset, path, _READ)
    for path in writable or []:
        _allow(ruleset, path, handled)
    if writable is not None:
        for name in ("null", "zero", "full", "tty", "shm"):
            _allow(ruleset, Path("/dev") / name, handled)
    _drop_capabilities()
    _enter(ruleset)


def confine(readable: Iterable[Path]) -> None:
    """Leaves this process to read below these directories, and otherwise with what it has open, for good.

    It writes no file and, from Linux 6.7 on, opens no TCP connection. Raises `OSError` when that fails.
    """
    version = _version()
    ruleset = _create(version, _READ | _READ_DIR | _changes(version), _BIND_TCP | _CONNECT_TCP)
    for path in readable:
        _allow(ruleset, path.resolve(), _READ | _READ_DIR)
    _enter(ruleset)


def visible_roots(hidden: list[Path]) -> Iterator[Path]:
    """Yields the fewest paths that together cover the file system without the hidden directories and raw devices."""
    above = {parent for path in hidden for parent in path.parents} | {Path("/"), Path("/dev")}
    for directory in sorted(above):
        for name in _names(directory):
            path = directory / name
            if path in hidden or path in above or path.is_symlink():
                continue  # a link is followed to a place with a rule of its own
            if directory == Path("/dev") and name not in _DEVICES:
                continue
            yield path


def main(arguments: list[str]) -> int:
    """Replaces this process by the fenced program; returns only when that is impossible."""
    parser = argparse.ArgumentParser(prog="fence")
    parser.add_argument("--hide", type=Path, action="append", default=[])
    parser.add_argument("--write", type=Path, action="append")
    parser.add_argument("program", nargs="+")
    chosen = parser.parse_args(arguments)
    try:
        restrict(hidden=chosen.hide, writable=chosen.write)
    except OSError as error:
        sys.stderr.write(f"fence: {error}\n")
    else:
        os.execv(chosen.program[0], chosen.program)  # noqa: S606 - the program that the supervisor names, no shell
    return CANNOT


def _names(directory: Path) -> list[str]:
    try:
        return sorted(path.name for path in directory.iterdir())
    except OSError:
        return []


def _changes(version: int) -> int:
    return _CHANGE | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)


def _version() -> int:
    version = abi_version()
    if version == 0:
        raise OSError("this kernel has no Landlock")
    return version


def _create(version: int, handled: int, network: int = 0) -> int:
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS
    known = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", handled, network, scoped)[:known]
    return _check(_syscall(_CREATE_RULESET, attributes, len(attributes), 0), "create")


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not ours to reach, needs no permission
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISLNK(mode):
            return
        chosen = rights if stat.S_ISDIR(mode) else rights & _FILE_RIGHTS
        rule = struct.pack("=Qi", chosen, descriptor)
        _check(_syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0), f"allow {path}")
    finally:
        os.close(descriptor)


def _enter(ruleset: int) -> None:
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")
    _check(_syscall(_RESTRICT_SELF, ruleset, 0), "restrict")
    os.close(ruleset)


def _drop_capabilities() -> None:
    if os.geteuid() == 0:
        for capability in range(_LAST_CAPABILITY + 1):
            if capability != _CAP_DAC_OVERRIDE:
                _prctl(_PR_CAPBSET_DROP, capability)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(libc.syscall(ctypes.c_long(number), *converted))


def _prctl(option: int, value: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
