"""Lists: filters and sorts from a whitelist, and pages by a cursor that never skips or repeats a row."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime
from django_filters import FilterSet
from rest_framework.request import Request

from kernel.errors import Invalid

PAGE: Final = 50
MAX_PAGE: Final = 200
MAX_CURSOR: Final = 1_000
OWN: Final = ("limit", "cursor", "sort")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can do: filter by a FilterSet (or a form), sort by name. The first sort is the default."""

    filters: Any = None
    sorts: Mapping[str, str] = field(default_factory=lambda: {"newest": "-pk"})
    reversible: bool = True

    def orders(self) -> list[str]:
        """Returns the names of all orders; a minus turns one around."""
        return [*self.sorts, *(f"-{name}" for name in self.sorts if self.reversible)]

    def fields(self) -> dict[str, forms.Field]:
        """Returns the form field of each filter, by the name of its query parameter."""
        if self.filters is None:
            return {}
        if issubclass(self.filters, FilterSet):
            return {name: found.field for name, found in self.filters.base_filters.items()}
        return dict(self.filters.base_fields)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last row of a page: in which sort, its value there, and its number."""

    sort: str
    value: str
    pk: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, the address of the next ones (None at the end), and what the serializer is told beside them."""

    rows: Sequence[Any]
    next: str | None
    context: Mapping[str, object] = field(default_factory=dict)


def page_of(request: Request, rows: QuerySet[Any], listing: Listing) -> Page:
    """Returns the page asked for. A filter narrows what was visible and never shows more."""
    refuse_unknown(request, listing)
    limit, name = limit_of(request), sort_of(request, listing)
    path, descending = _order_of(name, listing)
    rows = _after(_narrowed(request, rows, listing), read_cursor(request, name), path, descending=descending)
    sign = "-" if descending else ""
    found = list(rows.order_by(*dict.fromkeys((f"{sign}{path}", f"{sign}pk")))[: limit + 1])
    shown = found[:limit]
    mark = Mark(name, _stated(_value(shown[-1], path)), shown[-1].pk) if len(found) > limit else None
    return Page(shown, next_address(request, mark))


def refuse_unknown(request: Request, listing: Listing) -> None:
    """Raises for a query parameter that means nothing here: a misspelt filter must not show everything."""
    _refuse_others(request, {*OWN, *listing.fields()})


def asked_of(request: Request, asks: type[forms.Form]) -> dict[str, Any]:
    """Returns the values of the query parameters that a form describes; others are refused."""
    _refuse_others(request, set(asks.base_fields))
    return cleaned(asks(request.query_params))


def _refuse_others(request: Request, known: set[str]) -> None:
    if unknown := sorted(set(request.query_params) - known):
        raise Invalid(
            "There is no such query parameter.", errors={f"?{name}": ["It means nothing here."] for name in unknown}
        )


def limit_of(request: Request) -> int:
    """Returns how many rows are asked for."""
    text = request.query_params.get("limit", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE):
        raise Invalid("That is no page size.", errors={"?limit": [f"1 to {MAX_PAGE}."]})
    return int(text)


def sort_of(request: Request, listing: Listing) -> str:
    """Returns the name of the sort asked for, else of the first."""
    name = request.query_params.get("sort") or listing.orders()[0]
    if name not in listing.orders():
        raise Invalid("That is no sort.", errors={"?sort": [f"One of {', '.join(listing.orders())}."]})
    return name


def read_cursor(request: Request, sort: str) -> Mark | None:
    """Returns what a cursor of ours holds, of plain type and size, and made for this sort; None on the first page."""
    text = request.query_params.get("cursor")
    if text is None:
        return None
    if len(text) > MAX_CURSOR:
        raise _bad_cursor()
    try:
        found = json.loads(urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is text nowhere else
    except (ValueError, RecursionError) as error:
        raise _bad_cursor() from error
    if not (isinstance(found, list) and len(found) == 3 and found[0] == sort and _is_id(found[2])):
        raise _bad_cursor()
    if not isinstance(found[1], str) or "\0" in found[1]:
        raise _bad_cursor()
    return Mark(*found)


def next_address(request: Request, mark: Mark | None) -> str | None:
    """Returns the address of the next page, relative to this host."""
    if mark is None:
        return None
    packed = json.dumps([mark.sort, mark.value, mark.pk], separators=(",", ":")).encode()
    cursor = urlsafe_b64encode(packed).decode().rstrip("=")
    asked = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return f"{request.path}?{urlencode({**asked, 'cursor': cursor})}"


def cleaned(form: forms.Form) -> dict[str, Any]:
    """Returns the values of a filter form, or raises naming the parameters that cannot be."""
    if not form.is_valid():
        errors = {f"?{name}": [str(text) for text in texts] for name, texts in form.errors.items()}
        raise Invalid("A filter cannot be used.", errors=errors)
    return dict(form.cleaned_data)


def _narrowed(request: Request, rows: QuerySet[Any], listing: Listing) -> QuerySet[Any]:
    if listing.filters is None:
        return rows
    chosen: Any = listing.filters(data=request.query_params, queryset=rows)
    cleaned(chosen.form)
    narrowed: QuerySet[Any] = chosen.qs
    return narrowed


def _order_of(name: str, listing: Listing) -> tuple[str, bool]:
    path = listing.sorts[name.removeprefix("-")]
    return path.removeprefix("-"), path.startswith("-") is not name.startswith("-")


def _after(rows: QuerySet[Any], mark: Mark | None, path: str, *, descending: bool) -> QuerySet[Any]:
    if mark is None:
        return rows
    side = "lt" if descending else "gt"
    if path == "pk":
        return rows.filter(**{f"pk__{side}": mark.pk})
    try:
        value = parse_datetime(mark.value[1:]) if mark.value.startswith("@") else mark.value[1:]
        if value is None:
            raise _bad_cursor()
        return rows.filter(Q(**{f"{path}__{side}": value}) | Q(**{path: value, f"pk__{side}": mark.pk}))
    except (ValueError, TypeError, ValidationError) as error:
        raise _bad_cursor() from error


def _value(row: Any, path: str) -> Any:
    return reduce(getattr, path.split("__"), row)


def _stated(value: object) -> str:
    return f"@{value.isoformat()}" if isinstance(value, datetime) else f"={value}"


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _bad_cursor() -> Invalid:
    return Invalid("This page cannot be found again. Start at the first one.", errors={"?cursor": ["Not one of ours."]})
