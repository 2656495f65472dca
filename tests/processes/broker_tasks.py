"""A worker's application with one more task and a short patience, for `test_broker`. Started by `celery -A`."""

import os
import threading
from pathlib import Path

from portal.celery import app

app.conf.task_default_queue = os.environ["HANSE_TEST_QUEUE"]
app.conf.broker_transport_options = {
    **app.conf.broker_transport_options,
    "visibility_timeout": 3,
    "unacked_restore_interval": 1,
}


@app.task(name="tests.finish_at_second_try")
def finish_at_second_try(path: str) -> None:
    """Notes each try in the file. The first never ends by itself, so that somebody can kill its worker meanwhile."""
    notes = Path(path)
    is_first = not notes.exists()
    with notes.open("a", encoding="ascii") as file:
        file.write(f"began {os.getpid()}\n")
    if is_first:
        threading.Event().wait()
    with notes.open("a", encoding="ascii") as file:
        file.write(f"done {os.getpid()}\n")
