"""The guardian of one server process. Run as a file by an isolated interpreter, never imported by the runner.

    python -I -S child.py PARENT_PID LIMITS_JSON COMMAND [ARGUMENT ...]

It forks once: the fork takes the limits and becomes the server; the guardian waits and makes sure that nothing of the
server outlives it. The kernel tells it when the runner dies (PR_SET_PDEATHSIG), also by SIGKILL, and hands it every
process that the server left behind (PR_SET_CHILD_SUBREAPER), also one that made its own session.
The environment is exactly what the runner gave; no code of ours runs between a fork and an exec in the runner itself.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Final, Never

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
WATCHED: Final = STOP | {signal.SIGCHLD}
GRACE_SECONDS: Final = 1.0
KILL_SECONDS: Final = 5.0
CANNOT_RUN: Final = 127
PROC: Final = Path("/proc")


def main(arguments: list[str]) -> Never:
    parent, limits, command = int(arguments[0]), json.loads(arguments[1]), arguments[2:]
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    for number in WATCHED:
        # An ignored signal would be inherited, and can be neither waited for nor heard.
        signal.signal(number, signal.SIG_DFL)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    # The runner may have died before the kernel knew that we want to hear of it.
    if os.getppid() != parent:
        os._exit(CANNOT_RUN)
    guardian = os.getpid()
    server = os.fork()
    if server == 0:
        become(command, limits, guardian)
    leave_pipes()
    status = watch(server)
    kill_rest()
    os._exit(status)


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere the runner still stops its servers, but cannot promise it for its own sudden death."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
            os._exit(CANNOT_RUN)


def become(command: list[str], limits: dict[str, int], guardian: int) -> Never:
    """Replaces this process by the server: own session, limits, no new privileges, dies with its guardian."""
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guardian:
            os._exit(CANNOT_RUN)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        os.umask(0o077)
        for name, value in limits.items():
            lower(getattr(resource, name), value)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        os.execvpe(command[0], command, os.environ)  # noqa: S606 - never through a shell
    except (OSError, ValueError) as error:
        os.write(2, f"cannot run {command[0]}: {getattr(error, 'strerror', None) or error}\n".encode())
    os._exit(CANNOT_RUN)


def lower(which: int, value: int) -> None:
    """Sets a limit for good, never above what we have ourselves."""
    hard = resource.getrlimit(which)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def leave_pipes() -> None:
    """The pipes belong to the server alone, so that its end is an end of file for the runner."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def watch(server: int) -> int:
    """Returns the exit status of the server, after its own end or because we were told to stop it."""
    while True:
        if signal.sigwait(WATCHED) in STOP:
            return stop(server)
        status = reap(server)
        if status is not None:
            return status


def stop(server: int) -> int:
    """Asks the server's whole group to end, and gives it a moment."""
    try:
        os.killpg(server, signal.SIGTERM)
    except ProcessLookupError:
        pass
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, left)
        status = reap(server)
        if status is not None:
            return status
    return 128 + signal.SIGTERM


def reap(server: int) -> int | None:
    """Collects every ended process; returns the server's status when it is among them."""
    status = None
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == server:
            ended = os.waitstatus_to_exitcode(code)
            status = ended if ended >= 0 else 128 - ended


def kill_rest() -> None:
    """Kills all descendants. Whoever loses its parent becomes our child, so having no child means being done."""
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap(0)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        signal.sigtimedwait({signal.SIGCHLD}, 0.02)


def descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else []:
        if entry.name.isdigit():
            children.setdefault(parent_of(entry), []).append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def parent_of(entry: Path) -> int:
    try:
        # The name in parentheses may hold anything, so the fields are counted from behind it.
        return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


if __name__ == "__main__":
    main(sys.argv[1:])
