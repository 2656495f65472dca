"""Every error of the API as problem details (RFC 9457): one adapter from the house's error tree."""

import logging
import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core import exceptions as django_errors
from django.db import DataError
from django.http import Http404
from rest_framework import exceptions as rest_errors
from rest_framework.response import Response
from rest_framework.settings import api_settings

from kernel import errors
from portal.rest.authentication import challenge
from portal.statuses import STATUS_OF

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:hanse:problem:"

_log = logging.getLogger(__name__)


class Malformed(errors.DomainError):
    """The request cannot be read at all."""

    code = "malformed"


class PreconditionRequired(errors.DomainError):
    """A change without `If-Match` (RFC 6585)."""

    code = "precondition_required"


_OWN_STATUS: Final[tuple[tuple[type[errors.DomainError], HTTPStatus], ...]] = (
    (Malformed, HTTPStatus.BAD_REQUEST),
    (PreconditionRequired, HTTPStatus.PRECONDITION_REQUIRED),
)

_SIMPLE: Final[tuple[tuple[tuple[type[Exception], ...], type[errors.DomainError], str], ...]] = (
    ((Http404, rest_errors.NotFound), errors.NotFound, "There is nothing at this address."),
    ((django_errors.PermissionDenied,), errors.Forbidden, "You may not do this."),
    ((django_errors.RequestDataTooBig,), errors.TooLarge, "The request is too big."),
    ((django_errors.BadRequest, django_errors.SuspiciousOperation), Malformed, "The request cannot be read."),
    ((DataError,), errors.Invalid, "A value cannot be stored: it is too long, too big, or no text."),
)


def answer_problem(error: Exception, context: Mapping[str, Any]) -> Response:
    """Returns the problem of whatever was raised in a view. What nobody foresaw says nothing but that it happened."""
    if isinstance(error, rest_errors.APIException) and not _is_translated(error):
        status, told = HTTPStatus(error.status_code), _of_framework(error)
    else:
        told = _translated(error)
        status = status_of(told)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("A REST view failed.", exc_info=error)
    return Response(body_of(told, status), status=status, headers=_headers(told, context), content_type=MEDIA_TYPE)


def status_of(error: errors.DomainError) -> HTTPStatus:
    """Returns the status of a domain error; an unknown kind is our fault."""
    known = (*_OWN_STATUS, *STATUS_OF)
    return next((status for kind, status in known if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def body_of(error: errors.DomainError, status: HTTPStatus) -> dict[str, object]:
    """Returns the members: the standard ones, the stable code, and the facts that help the caller on."""
    facts = {name: _plain(value) for name, value in error.facts.items() if value not in ("", None)}
    body: dict[str, object] = {
        **facts,
        "type": TYPE_PREFIX + error.error_code,
        "title": status.phrase,
        "status": int(status),
        "code": error.error_code,
        "detail": error.message,
    }
    if isinstance(error, errors.Invalid) and error.errors:
        body["errors"] = [
            {"pointer": _pointer(field), "detail": sentence}
            for field, sentences in error.errors.items()
            for sentence in sentences
        ]
    return body


def _is_translated(error: Exception) -> bool:
    return isinstance(error, rest_errors.ValidationError | rest_errors.NotFound | rest_errors.Throttled)


def _translated(error: Exception) -> errors.DomainError:
    """Returns the house's own error for what Django, the framework and the database raise."""
    if isinstance(error, errors.DomainError):
        return error
    if isinstance(error, rest_errors.ValidationError):
        return errors.Invalid("The input is not valid.", errors=_by_pointer(error.detail))
    if isinstance(error, django_errors.ValidationError):
        return errors.Invalid("The input is not valid.", errors=_by_pointer(_messages(error)))
    if isinstance(error, rest_errors.Throttled):
        seconds = math.ceil(getattr(error, "wait", None) or 1)
        return errors.RateLimited("Too many requests.", retry_after=max(1, seconds))
    known = (kind(text) for raised, kind, text in _SIMPLE if isinstance(error, raised))
    return next(known, None) or errors.DomainError("Something went wrong here. It was noted.", code="internal")


def _of_framework(error: rest_errors.APIException) -> errors.DomainError:
    codes = {
        rest_errors.ParseError: "malformed",
        rest_errors.NotAuthenticated: "unauthenticated",
        rest_errors.AuthenticationFailed: "invalid_token",
        rest_errors.MethodNotAllowed: "method_not_allowed",
        rest_errors.UnsupportedMediaType: "unsupported_media_type",
    }
    text = str(error.detail)
    code = "csrf_failed" if text.startswith("CSRF Failed") else codes.get(type(error), error.default_code)
    return errors.DomainError(text, code=code)


def _headers(error: errors.DomainError, context: Mapping[str, Any]) -> dict[str, str]:
    if isinstance(error, errors.RateLimited):
        return {"Retry-After": str(error.retry_after)}
    if error.error_code in {"unauthenticated", "invalid_token"}:
        request = context.get("request")
        return {"WWW-Authenticate": challenge(given=request is not None and "Authorization" in request.headers)}
    return {}


def _messages(error: django_errors.ValidationError) -> object:
    return error.message_dict if hasattr(error, "error_dict") else error.messages


def _by_pointer(detail: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pointer, sentence in _walk("", detail):
        found.setdefault(pointer, []).append(sentence)
    return found


def _walk(place: str, detail: object) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = place if name == api_settings.NON_FIELD_ERRORS_KEY else f"{place}/{_escape(str(name))}"
            yield from _walk(own, inner)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _walk(place if isinstance(inner, str) else f"{place}/{index}", inner)
    else:
        yield place, str(detail)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _pointer(field: str) -> str:
    """Returns a JSON pointer; services name a plain field, the framework's errors are pointers already."""
    return field if field == "" or field.startswith(("/", "?")) else f"/{_escape(field)}"


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | list | dict) else str(value)
