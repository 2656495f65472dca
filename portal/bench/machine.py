"""What a figure depends on besides our code: processor, versions, how busy the machine is, how fast the disk flushes."""

import os
import platform
import statistics
import time
from pathlib import Path
from typing import Final

_FLUSHES: Final = 100
_BLOCK: Final = 8192  # what PostgreSQL writes at least


def describe(directory: Path, *, postgresql: str = "") -> dict[str, object]:
    """Returns the machine as it is now; `directory` is on the disk that counts."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        **({"postgresql": postgresql} if postgresql else {}),
        "load": load_average(),
        "flush_ms": round(flush_ms(directory), 3),
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def load_average() -> float:
    """Returns the load of the last minute; above the number of cores, times say little and CPU per call says more."""
    return round(os.getloadavg()[0], 2)


def flush_ms(directory: Path) -> float:
    """Returns the median time of a write of 8 kB and its fdatasync, as PostgreSQL flushes its log."""
    path = directory / ".flush"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, bytes(_BLOCK * 64))
        os.fsync(descriptor)
        return statistics.median([_flush_once(descriptor, number % 64) for number in range(_FLUSHES)]) * 1000
    finally:
        os.close(descriptor)
        path.unlink()


def _flush_once(descriptor: int, block: int) -> float:
    began = time.perf_counter()
    os.pwrite(descriptor, os.urandom(_BLOCK), block * _BLOCK)
    os.fdatasync(descriptor)
    return time.perf_counter() - began


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
