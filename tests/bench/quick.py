"""`manage.py bench NAME --quick --json` on copies of a furnished installation, so that ten benches do not make ten."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import django
from django.core.management import call_command

from tests.furnishing import copy_furnished

Place = Callable[[], AbstractContextManager[Path]]


def furnished(make: Place, below: str) -> Place:
    """Returns what `make` does, with a furnished data directory in the new place, or below it."""

    @contextmanager
    def place() -> Iterator[Path]:
        with make() as data:
            if not below:
                data.rmdir()
            copy_furnished(data / below)
            shutil.rmtree(data / below / "static")  # who serves pages collects what they need
            data.chmod(0o755)
            yield data

    return place


def main(name: str) -> None:
    """Runs the bench. `up` of the bench of starting is not touched: it begins with nothing."""
    from portal.bench import installation, onboarding

    onboarding.temporary_data = furnished(onboarding.temporary_data, "house")
    installation.temporary_data = furnished(installation.temporary_data, "")
    call_command("bench", name, quick=True, json=True)


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    django.setup()
    main(sys.argv[1])
