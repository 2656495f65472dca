"""Lists: search, facets in the address, a whitelist of sorts, a cursor, and an export of what is shown."""

import csv
import io
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Expression, F, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils.dateparse import parse_datetime

from kernel.errors import Invalid

PAGE: Final = 50
MAX_CURSOR: Final = 1_000
EXPORT: Final = 10_000
"""Rows of one export. The answer says so in a header when there were more."""

ANYTHING: Final = Q()
Column = tuple[str, Callable[[Any], object]]


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a facet with the address that chooses it (or, when chosen, drops it)."""

    label: str
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter in the address: `name=value` narrows the rows by `condition(value)`."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    condition: Callable[[str], Q]


@dataclass(frozen=True, slots=True)
class ShownFacet:
    """A facet as the page draws it."""

    label: str
    chosen: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class Sort:
    """An order that may be asked for by name. `key` never is null, and ties are broken by id."""

    name: str
    label: str
    key: Expression | F
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can do."""

    facets: Sequence[Facet] = ()
    sorts: Sequence[Sort] = ()
    search: Callable[[str], Q] | None = None
    columns: Sequence[Column] = ()
    name: str = "list"


@dataclass(slots=True)
class Page:
    """One page of rows and everything that the list part draws."""

    rows: list[Any]
    facets: list[ShownFacet]
    sorts: dict[str, dict[str, str]]
    q: str = ""
    next_url: str = ""
    first_url: str = ""
    is_filtered: bool = False
    csv_url: str = ""
    json_url: str = ""
    keep: list[tuple[str, str]] = field(default_factory=list)
    total: int | None = None

    @property
    def is_cut(self) -> bool:
        """Tells whether there is more than this page shows."""
        return bool(self.next_url or self.first_url)


def whole_page(request: HttpRequest, rows: QuerySet[Any], *sorts: Sort) -> Page:
    """Returns a page of a list that can be read on and nothing else: with how many rows there are in all.

    Without a sort the rows are ordered by id already, the newest first.
    """
    page = list_page(request, rows, Listing(sorts=sorts))
    page.total = rows.count() if page.is_cut else len(page.rows)
    return page


def list_page(request: HttpRequest, rows: QuerySet[Any], listing: Listing) -> Page:
    """Returns the page that the address asks for. Unknown values are ignored, a broken cursor is refused."""
    asked = request.GET
    rows, order = narrow(rows, asked, listing), _sort_of(asked, listing)
    if order:
        rows = rows.annotate(sort_key=order[0].key).order_by(*_order_by(order))
    found = list(_after(rows, asked.get("after", ""), order)[: PAGE + 1])
    page = Page(rows=found[:PAGE], facets=shown_facets(asked, listing.facets), sorts=_sorts(asked, listing, order))
    page.q = asked.get("q", "").strip()
    names = {facet.name for facet in listing.facets}
    page.is_filtered = bool(page.q) or any(asked.get(name) for name in names)
    page.keep = kept(asked)
    page.csv_url, page.json_url = address(asked, {"format": "csv"}), address(asked, {"format": "json"})
    page.first_url = address(asked) if asked.get("after") else ""
    if len(found) > PAGE:
        page.next_url = address(asked, {"after": _cursor(page.rows[-1], order)})
    return page


def kept(asked: QueryDict) -> list[tuple[str, str]]:
    """Returns what a new search keeps of the address: facets and sort, not the page one was on."""
    given = [(name, asked.get(name, "")) for name in asked if name not in {"q", "after", "format"}]
    return [(name, value) for name, value in given if value]


def narrow(rows: QuerySet[Any], asked: Mapping[str, str], listing: Listing) -> QuerySet[Any]:
    """Returns the rows that the search and the facets leave; a filter never shows more than was visible."""
    words = asked.get("q", "").strip()[:200]
    if words and listing.search:
        rows = rows.filter(listing.search(words))
    for facet in listing.facets:
        value = asked.get(facet.name, "")
        if value in {option for option, _ in facet.options}:
            rows = rows.filter(facet.condition(value))
    return rows


def export(request: HttpRequest, rows: QuerySet[Any], listing: Listing) -> HttpResponse | None:
    """Returns the filtered rows as CSV or JSON when the address asks for it, else None."""
    wanted = request.GET.get("format", "")
    if wanted not in {"csv", "json"}:
        return None
    order = _sort_of(request.GET, listing)
    rows = narrow(rows, request.GET, listing)
    if order:
        rows = rows.annotate(sort_key=order[0].key).order_by(*_order_by(order))
    return exported(list(rows[: EXPORT + 1]), listing.columns, name=listing.name, wanted=wanted)


def exported(rows: Sequence[Any], columns: Sequence[Column], *, name: str, wanted: str) -> HttpResponse:
    """Returns the rows as a file, at most `EXPORT` of them, and says in a header when some were left out."""
    table = [{title: value(row) for title, value in columns} for row in rows[:EXPORT]]
    response = JsonResponse(table, safe=False, json_dumps_params={"indent": 1}) if wanted == "json" else _csv(table)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted}"'
    response.headers["X-Truncated"] = "true" if len(rows) > EXPORT else "false"
    return response


def _csv(table: Iterable[Mapping[str, object]]) -> HttpResponse:
    out = io.StringIO()
    writer = csv.writer(out)
    for number, row in enumerate(table):
        if number == 0:
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])
    return HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")


def _cell(value: object) -> str:
    """A spreadsheet runs what begins like a formula, and names in the catalog are written by others."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def address(asked: QueryDict, changes: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns the present address with some of its parts changed, on the first page unless `after` is one of them."""
    query = asked.copy()
    for name in ("format", "after"):
        query.pop(name, None)
    for name, value in changes.items():
        if value:
            query[name] = value
        else:
            query.pop(name, None)
    return f"?{query.urlencode()}"


def shown_facets(asked: QueryDict, facets: Sequence[Facet]) -> list[ShownFacet]:
    """Returns the facets as the page draws them, each choice with its address."""
    shown = []
    for facet in facets:
        value = asked.get(facet.name, "")
        labels = dict(facet.options)
        choices = [
            Choice(label, address(asked, {facet.name: "" if option == value else option}), option == value)
            for option, label in facet.options
        ]
        shown.append(ShownFacet(facet.label, labels.get(value, ""), choices))
    return shown


def _sort_of(asked: Mapping[str, str], listing: Listing) -> tuple[Sort, bool] | None:
    """Returns the sort and whether it descends; `-name` turns a sort around."""
    if not listing.sorts:
        return None
    wanted = asked.get("sort", "")
    for sort in listing.sorts:
        if wanted.removeprefix("-") == sort.name:
            return sort, sort.newest_first is not wanted.startswith("-")
    return listing.sorts[0], listing.sorts[0].newest_first


def _sorts(asked: QueryDict, listing: Listing, order: tuple[Sort, bool] | None) -> dict[str, dict[str, str]]:
    shown = {}
    for sort in listing.sorts:
        current = order is not None and order[0] is sort
        turned = current and order is not None and order[1] is sort.newest_first
        symbol = ("sort-down" if order and order[1] else "sort-up") if current else ""
        aria = ("descending" if order and order[1] else "ascending") if current else "none"
        url = address(asked, {"sort": f"-{sort.name}" if turned else sort.name})
        shown[sort.name] = {"label": sort.label, "url": url, "symbol": symbol, "aria": aria}
    return shown


def _order_by(order: tuple[Sort, bool]) -> list[str]:
    return ["-sort_key", "-pk"] if order[1] else ["sort_key", "pk"]


def _cursor(row: Any, order: tuple[Sort, bool] | None) -> str:
    key = row.sort_key if order else row.pk
    stated = key.isoformat() if isinstance(key, datetime) else key
    return urlsafe_b64encode(json.dumps([stated, row.pk, isinstance(key, datetime)]).encode()).decode().rstrip("=")


def _after(rows: QuerySet[Any], cursor: str, order: tuple[Sort, bool] | None) -> QuerySet[Any]:
    if not cursor:
        return rows
    try:
        value, last = _read(cursor)
        if order is None:
            return rows.filter(pk__lt=last)
        side = "lt" if order[1] else "gt"
        return rows.filter(Q(**{f"sort_key__{side}": value}) | Q(sort_key=value, **{f"pk__{side}": last}))
    except (ValueError, TypeError, OverflowError, ValidationError) as error:
        raise Invalid("This page of the list cannot be found again. Start at its first page.") from error


def _read(cursor: str) -> tuple[object, int]:
    """Returns the key and the id of the last row that was shown. Anybody can write a cursor, so nothing is believed."""
    if len(cursor) > MAX_CURSOR:
        raise ValueError("too long")
    key, last, is_moment = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if not isinstance(key, str | int) or b"\0" in str(key).encode():  # half a surrogate pair cannot be encoded either
        raise TypeError("no key of a row")
    return (parse_datetime(str(key)) if is_moment else key), int(last)
