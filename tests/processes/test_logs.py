"""What grants access is never written down, however it gets into a log line or an error page."""

import io
import json
import logging

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from kernel.ids import new_uid
from portal.logs import RedactingFilter, RedactingFormatter, redact
from portal.reports import NothingButShape

TOKEN = "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        f"got {TOKEN} from the caller",
        "connect to postgresql://hanse:SECRETVALUE@db/hanse failed",
        'body {"password": "SECRETVALUE"}',
        "retry with api_key=SECRETVALUE&x=1",
        "authorization: Basic U0VDUkVUVkFMVUU=",
    ],
)
def test_a_line_keeps_its_sense_and_loses_its_secret(text):
    clean = redact(text)
    assert not any(secret in clean for secret in (TOKEN, "SECRETVALUE", "U0VDUkVUVkFMVUU="))
    assert "***" in clean


def test_a_record_is_one_json_line_without_secrets_even_in_its_traceback():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(RedactingFormatter())
    handler.addFilter(RedactingFilter())
    log = logging.getLogger("tests.redaction")
    log.addHandler(handler)
    try:
        raise ValueError(f"refused Bearer {TOKEN}")
    except ValueError:
        log.exception("call by %s", f"Bearer {TOKEN}", extra={"token_seen": TOKEN, "request": object()})
    log.removeHandler(handler)
    (line,) = out.getvalue().splitlines()
    document = json.loads(line)
    assert TOKEN not in line
    assert document["level"] == "error"
    assert "ValueError" in document["traceback"]
    assert "request" not in document


def test_an_error_report_shows_no_value(settings):
    credential = new_uid().hex  # composed at run time, because a report shows source lines
    request = RequestFactory().post("/", {"password": credential})
    try:
        raise RuntimeError
    except RuntimeError as error:
        reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
    reporter.filter = NothingButShape()
    for page in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert credential not in page
        assert settings.SECRET_KEY not in page
