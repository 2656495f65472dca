"""Structured logs on standard error: one JSON object per line, without anything that grants access."""

import json
import logging
import re
from typing import Final

from kernel.clock import timestamp

# Bearer tokens, JWTs wherever they stand, passwords in connection URLs, and `name=value` of names that mean a secret.
_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), "***"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@/]+@"), r"\1:***@"),
    (
        re.compile(
            r"(?i)\b(password|passwd|secret|token|api[_-]?key|authorization)(['\"]?\s*[=:]\s*)(['\"]?)[^\s'\",;&)}]+"
        ),
        r"\1\2\3***",
    ),
)
_OWN: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """Returns `text` with every recognisable credential replaced by stars."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats a record as one JSON line; message, traceback and extras pass through `redact`."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        document: dict[str, str] = {
            "at": timestamp(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for name, value in record.__dict__.items():
            # Django attaches the request, whose repr may hold what somebody typed.
            if name not in _OWN and isinstance(value, str | int | float | bool):
                document[name] = redact(str(value))
        if record.exc_info:
            document["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False)


class RedactingFilter(logging.Filter):
    """Takes credentials out of a record before any handler, ours or another's, formats it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns True: a record is changed and never dropped."""
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        return True


LOGGING: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "portal.logs.RedactingFilter"}},
    "formatters": {"json": {"()": "portal.logs.RedactingFormatter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["redact"]},
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
        "pgmq": {"level": "WARNING"},
        "psycopg.pool": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "mcp": {"level": "WARNING"},
    },
}
