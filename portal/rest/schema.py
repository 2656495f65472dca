"""The OpenAPI description, read from the operations themselves, so that it cannot say anything else."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from django import forms
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from portal.rest.listing import MAX_CURSOR, MAX_PAGE, PAGE, Listing
from portal.rest.operations import Operation
from portal.rest.problems import MEDIA_TYPE, TYPE_PREFIX
from portal.rest.uploads import UploadParser

PROBLEMS: Final = {
    400: "The request cannot be read.",
    401: "Nobody is signed in, or the key does not hold.",
    403: "The caller sees it but may not do this: `missing` names the grant, `given_by` who gives it.",
    404: "There is no such thing, or the caller may not see it: the two answers are the same.",
    409: "Its state does not allow this, or somebody else was first.",
    412: "It was changed since it was read.",
    413: "The body is too big or nested too deep.",
    415: "The body is of no content type that is taken here.",
    422: "The input breaks a rule: `errors` says where.",
    428: "`If-Match` is missing.",
    429: "Too many requests: try again after `Retry-After` seconds.",
    503: "A part that is needed did not answer. Nothing was done.",
}
ALWAYS: Final = {401, 403, 404, 429}
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457. Facts that help the caller on may stand beside these members.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": f"`{TYPE_PREFIX}` and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "One sentence, for people."},
        "missing": {"type": "string", "description": "The grant that is missing."},
        "given_by": {"type": "string", "description": "Who can give it."},
        "document": {"type": "string", "description": "The path of the document that is too large."},
        "limit": {"type": "integer", "description": "The limit that was passed."},
        "findings": {
            "type": "array",
            "description": "Of a blueprint that is not sound: everything that is wrong, each with place and remedy.",
            "items": {
                "type": "object",
                "required": ["code", "severity", "path", "message", "remedy"],
                "properties": {
                    "code": {"type": "string"},
                    "severity": {"type": "string", "enum": ["error", "warning"]},
                    "path": {"type": "string", "description": "A JSON pointer into the document."},
                    "line": {"type": ["integer", "null"], "description": "Of the text, when one was sent."},
                    "column": {"type": ["integer", "null"]},
                    "message": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            },
        },
        "conflicts": {
            "type": "array",
            "description": "Of a rebase: the changes that exclude each other and wait for a choice.",
            "items": {
                "type": "object",
                "required": ["path", "unit", "state"],
                "properties": {
                    "path": {"type": "string", "description": "A JSON pointer: what a choice names."},
                    "unit": {"type": "string", "description": "The pointer of the thing that has changed."},
                    "state": {"type": "string", "enum": ["conflict"]},
                },
            },
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "A JSON pointer into the body, or `?` and a parameter.",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class OperationSchema(AutoSchema):
    """Reads an `Operation` instead of guessing."""

    view: Any

    @property
    def told(self) -> Operation:
        """The operation behind this method."""
        method = getattr(self.view, self.view.action)
        found: Operation = method.operation
        return found

    def get_operation_id(self) -> str:
        """Returns `<resource>_<act>`."""
        return f"{self.view.resource}_{self.view.action}"

    def get_tags(self) -> list[str]:
        """Returns the resource."""
        return [self.view.resource]

    def get_summary(self) -> str:
        """Returns the operation's own summary."""
        return self.told.summary

    def get_description(self) -> str:  # type: ignore[override]
        """Returns the docstring of the method."""
        return (getattr(self.view, self.view.action).__doc__ or "").strip()

    def get_request_serializer(self) -> Any:
        """Returns what it takes, by content type where there are two."""
        told = self.told
        return {"application/json": told.takes, UploadParser.media_type: told.uploads} if told.uploads else told.takes

    def get_response_serializers(self) -> Any:
        """Returns what it gives, by status."""
        told = self.told
        if told.text:
            return {(told.status, "text/plain"): OpenApiTypes.STR}
        if told.gives is None:
            return {told.status: None}
        return {told.status: _page_shape(told.gives) if told.listing else told.gives}

    def get_override_parameters(self) -> list[Any]:
        """Returns query parameters of lists, and the headers of conditional and idempotent requests."""
        told, found = self.told, list[OpenApiParameter]()
        if told.listing is not None:
            found += _list_parameters(told.listing)
        if told.asks is not None:
            found += _parameters(told.asks.base_fields)
        if told.conditional:
            found.append(_header("If-Match", "The `ETag` that was read.", required=not told.creatable))
        if told.creatable:
            found.append(_header("If-None-Match", "`*`: only if there is none yet."))
        if self.method == "POST":
            found.append(_header("Idempotency-Key", "The same request with the same key happens once in 24 hours."))
        if self._is_tagged():
            found.append(_header("If-None-Match", "An `ETag`: answers 304 when nothing has changed."))
        return found

    def _is_tagged(self) -> bool:
        return self.method == "GET" and "version" in getattr(self.told.gives, "_declared_fields", {})

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def _get_serializer_name(self, serializer: Any, direction: Any, *args: Any) -> str:
        return super()._get_serializer_name(serializer, direction, *args).removesuffix("Out")

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if self._is_tagged():
            bodies["304"] = {"description": "Nothing has changed."}
        for status in sorted(self._problems()):
            bodies[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        return bodies

    def _problems(self) -> set[int]:
        told = self.told
        found = set() if self.view.public else set(ALWAYS)
        if told.listing is not None or told.asks is not None:
            found |= {422}
        if told.takes is not None or self.method == "POST":
            found |= {400, 413, 415, 422}
        if self.method != "GET" or told.text or told.heavy:
            found |= {409}
        if told.conditional:
            found |= {412, 428}
        return found | ({503} if self.method in {"POST", "PUT", "PATCH"} or told.heavy else set())


def describe_problems(result: dict[str, Any], **_how: Any) -> dict[str, Any]:
    """Returns the description with the problem responses that its operations refer to."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    components["responses"] = {
        f"Problem{status}": {"description": text, "content": content} for status, text in PROBLEMS.items()
    }
    return result


@cache
def openapi_document() -> dict[str, Any]:
    """Returns the description; the code does not change while a process runs, so it is made once."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


@cache
def _page_shape(gives: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    name = gives.__name__.removesuffix("Out")
    following = serializers.CharField(allow_null=True, help_text="The address of the next page; null on the last.")
    return type(f"{name}Page", (serializers.Serializer,), {"items": gives(many=True), "next": following})


def _list_parameters(listing: Listing) -> list[OpenApiParameter]:
    sorts = listing.orders()
    return [
        OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE}),
        OpenApiParameter("cursor", {"type": "string", "maxLength": MAX_CURSOR}, description="Taken from `next`."),
        OpenApiParameter("sort", {"type": "string", "enum": sorts, "default": sorts[0]}),
        *_parameters(listing.fields()),
    ]


def _parameters(fields: Mapping[str, forms.Field]) -> list[OpenApiParameter]:
    said = {name: str(field.help_text) for name, field in fields.items()}
    return [
        OpenApiParameter(name, _filter_type(field), description=said[name], required=field.required)
        for name, field in fields.items()
    ]


def _filter_type(field: forms.Field) -> dict[str, Any]:
    if isinstance(field, forms.UUIDField):
        return {"type": "string", "format": "uuid"}
    if isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        return {"type": "string", "enum": [value for value, _ in choices if value]}
    if isinstance(field, forms.IntegerField):
        return {"type": "integer", "minimum": field.min_value, "maximum": field.max_value}
    if isinstance(field, forms.DateTimeField):
        return {"type": "string", "format": "date-time"}
    return {"type": "string", "maxLength": getattr(field, "max_length", None) or 200}


def _header(name: str, description: str, *, required: bool = False) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=required, description=description)
