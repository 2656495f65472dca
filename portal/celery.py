"""Celery: queues in PostgreSQL by default, Redis protocol or AMQP by `CELERY_BROKER_URL`."""

import os
import warnings
from typing import Any, Final

from celery import Celery
from celery.beat import EmbeddedService, Scheduler
from celery.exceptions import SecurityWarning
from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings

from portal.config import Config
from portal.dsn import libpq_text

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

_COMMON: Final[dict[str, Any]] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": True,  # rows in PostgreSQL are the only truth; tasks are wake-ups
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_soft_time_limit": 30,
    "task_time_limit": 60,
    "task_default_queue": "hanse",
    "worker_pool": "threads",  # one process: a forked child costs 60 MB and our tasks wait on the database
    "worker_concurrency": 2,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": False,
    "worker_enable_remote_control": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_timeout": 5,
    "beat_schedule": {
        "probe servers": {"task": "registry.probe_servers", "schedule": 300.0},
        "expire patterns": {"task": "blueprints.expire_patterns", "schedule": 60.0},
        "resume measurements": {"task": "blueprints.resume_measurements", "schedule": 120.0},
        "expire gaps": {"task": "registry.expire_gaps", "schedule": 3600.0},
        "refresh sources": {"task": "registry.refresh_sources", "schedule": 3600.0},
        "resume imports": {"task": "registry.resume_imports", "schedule": 30.0},
    },
    "timezone": "UTC",
    "enable_utc": True,
}


def celery_settings(config: Config) -> dict[str, Any]:
    """Returns Celery's settings. On the queues in PostgreSQL eight messages are taken at once, on others one."""
    if config.broker_url:
        return {
            **_COMMON,
            "broker_url": config.broker_url,
            "worker_prefetch_multiplier": 1,
            "broker_transport_options": {"visibility_timeout": 120, "unacked_restore_interval": 5},
        }
    options = {
        "conn_string": libpq_text(config.dsn("broker")),
        "init_extension": False,  # its SQL was installed by `portal.database`
        "visibility_timeout": 120,
        "wait_time_seconds": 0,
        "polling_interval": 1,
        "use_notify": True,
        "pool_size": 4,
        "pool_timeout": 5,
    }
    prefetch = {"worker_prefetch_multiplier": 4}  # times two threads
    return {**_COMMON, **prefetch, "broker_url": "pgmq://localhost", "broker_transport_options": options}


# Celery warns about root because of pickled messages; we accept JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("hanse")
app.set_default()  # for every thread, or a page that enqueues in a thread of its own asks localhost for RabbitMQ
app.config_from_object(celery_settings(settings.HANSE))
app.autodiscover_tasks()

_clock: Final[list[Any]] = []


@worker_ready.connect  # type: ignore[untyped-decorator]  # celery has no types
def start_clock(**_signal: Any) -> None:
    """Sends what is scheduled from a thread of the worker: one process fewer, and none that could outlive it.

    It keeps nothing on disk, so what was due while everything stood still is due once, at its next time.
    """
    _clock.append(EmbeddedService(app, thread=True, scheduler_cls=Scheduler))
    _clock[0].start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]  # celery has no types
def stop_clock(**_signal: Any) -> None:
    """Ends the schedule before the tasks that it would send."""
    while _clock:
        _clock.pop().service.stop()
