#!/usr/bin/env python
"""The command line of Hanse."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Runs one command. A mistake in the environment is one line and exit code 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by NumPy once, when it is imported
    _use_own_environment()
    if sys.argv[1:2] == ["up"]:
        # `up` runs before there is a database, so it must not start with Django.
        from portal.cli.up import main as up

        sys.exit(up(sys.argv[2:]))
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from kernel.errors import DomainError
    from portal.config import ConfigError

    try:
        execute_from_command_line(sys.argv)
    except (ConfigError, DomainError) as error:
        print(f"hanse: {error}", file=sys.stderr)
        sys.exit(2)
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        print(f"hanse: the database does not answer; is `./manage.py up` running? ({reason})", file=sys.stderr)
        sys.exit(2)


def _use_own_environment() -> None:
    """Continues in `.venv` when it is there and we were started with another Python."""
    python = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
    if not python.exists() or os.environ.get("HANSE_REENTERED") or Path(sys.prefix) == python.parent.parent:
        return
    try:
        import django  # noqa: F401 - only whether it is there
    except ImportError:
        os.environ["HANSE_REENTERED"] = "1"
        os.execv(python, [str(python), __file__, *sys.argv[1:]])  # noqa: S606 - the same program again, no shell


if __name__ == "__main__":
    main()
