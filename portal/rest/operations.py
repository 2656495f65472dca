"""What every act of the API is made of: input checked, a service called, the answer shown. Documented by what it does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, Final

from django import forms
from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from kernel.errors import Invalid, NotFound
from portal.rest.fields import Input
from portal.rest.idempotency import once
from portal.rest.listing import Listing, Page, asked_of, page_of
from portal.rest.parsers import MAX_BODY
from portal.rest.preconditions import expected_version, is_unchanged, tag_of
from portal.rest.uploads import UploadParser
from tenants.principals import Principal
from tenants.versions import Versioned

ROOT: Final = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One act: what it takes and gives. `conditional` acts need `If-Match`; a `secret` answer is never kept.

    `asks` is a form of the query parameters of what is no list; the method gets their values. `uploads` is what it takes
    instead of `takes` when a form with files is sent.
    """

    summary: str
    takes: type[Input] | None = None
    uploads: type[Input] | None = None
    asks: type[forms.Form] | None = None
    gives: type[Serializer[Any]] | None = None
    status: int = 200
    listing: Listing | None = None
    conditional: bool = False
    creatable: bool = False
    secret: bool = False
    heavy: bool = False
    text: bool = False
    place: Callable[[Any], str] | None = None


class Resource(ViewSet):
    """A kind of thing. Its methods are operations, each a caller of queries and services."""

    request: Request
    resource: ClassVar[str]
    public: ClassVar[bool] = False
    max_body: ClassVar[int] = MAX_BODY

    @property
    def principal(self) -> Principal:
        """Who asks, as the middleware found at the start of the request."""
        principal: Principal = self.request.principal  # type: ignore[attr-defined]
        return principal

    def expected(self, row: Versioned) -> int | None:
        """Returns the version the caller read. To be asked after the row was found, before it is changed."""
        return expected_version(self.request, row)

    def named(self, field: str, find: Callable[[Principal, str], Any], name: str) -> Any:
        """Returns the thing that a field of the body names; what cannot be found is a fault of that field."""
        try:
            return find(self.principal, name)
        except NotFound as error:
            raise Invalid("The input names something that is not there.", errors={field: [error.message]}) from error


def operation(**facts: Any) -> Callable[[Callable[..., Any]], Callable[..., HttpResponseBase]]:
    """Returns a decorator that makes a method an operation of the API: see `Operation` for what can be said."""
    told = Operation(**facts)

    def wrap(method: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
        @wraps(method)
        def call(view: Resource, request: Request, **names: Any) -> HttpResponseBase:
            def act() -> Response:
                given = [_input(request, _shape(request, told))] if told.takes else []
                given += [asked_of(request, told.asks)] if told.asks else []
                response: Response = _answer(view, told, method(view, *given, **names))
                return response

            return once(request, act, secret=told.secret) if request.method == "POST" else act()

        call.operation = told  # type: ignore[attr-defined]
        return call

    return wrap


def _shape(request: Request, told: Operation) -> type[Input]:
    is_form = (request.content_type or "").lower().startswith(UploadParser.media_type)
    shape = told.uploads if is_form and told.uploads else told.takes
    assert shape is not None  # noqa: S101 - the caller has looked
    return shape


def _input(request: Request, takes: type[Input]) -> dict[str, Any]:
    checked = takes(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def _answer(view: Resource, told: Operation, result: Any) -> Any:
    if isinstance(result, HttpResponse):
        return result
    if told.gives is None:
        return Response(status=told.status)
    if told.listing is not None:
        return _page(told, result if isinstance(result, Page) else _paged(view, told.listing, result))
    data = told.gives(result, context={"principal": view.principal}).data
    response = Response(data, status=told.status)
    version = getattr(result, "version", None)
    if version is not None:
        response["ETag"] = tag_of(version, data)
        if view.request.method in {"GET", "HEAD"} and is_unchanged(view.request, response["ETag"]):
            return Response(status=304, headers={"ETag": response["ETag"]})
    if told.place is not None:
        response["Location"] = f"{ROOT}/{told.place(result)}"
    return response


def _paged(view: Resource, listing: Listing, rows: Any) -> Page:
    return page_of(view.request, rows, listing)


def _page(told: Operation, page: Page) -> Response:
    assert told.gives is not None  # noqa: S101 - `_answer` has looked
    items = told.gives(page.rows, many=True, context=dict(page.context)).data
    response = Response({"items": items, "next": page.next})
    if page.next:
        response["Link"] = f'<{page.next}>; rel="next"'
    return response
