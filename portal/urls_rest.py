"""Addresses of the REST API. `portal/urls.py` includes them at `api/v1/`."""

from typing import Final

from django.urls import URLPattern, path, re_path

from portal.rest.operations import Resource
from portal.rest.resources.agents import AgentResource
from portal.rest.resources.audit import EventResource, StreamResource, VerificationResource
from portal.rest.resources.delegations import DelegationResource
from portal.rest.resources.descriptions import Nowhere, OpenAPI
from portal.rest.resources.groups import GroupResource
from portal.rest.resources.me import KeyResource, MeResource
from portal.rest.resources.people import PersonResource
from portal.rest.resources.servers import CredentialResource, ServerResource
from portal.rest.resources.tenants import MemberResource, TenantResource
from portal.rest.resources.tools import ToolResource
from portal.rest.resources.wrapping import ApiResource, DocumentResource

LIST: Final = {"get": "list"}
LIST_AND_CREATE: Final = {"get": "list", "post": "create"}
READ: Final = {"get": "retrieve"}
READ_AND_CHANGE: Final = {"get": "retrieve", "patch": "partial_update"}


def _at(address: str, resource: type[Resource], actions: dict[str, str]) -> URLPattern:
    return path(address, resource.as_view({**actions}))


def _acts(address: str, resource: type[Resource], *acts: str, method: str = "post") -> list[URLPattern]:
    return [_at(f"{address}/{act}", resource, {method: act}) for act in acts]


urlpatterns = [
    path("openapi.json", OpenAPI.as_view(), name="openapi"),
    _at("me", MeResource, READ),
    _at("me/keys", KeyResource, LIST_AND_CREATE),
    _at("me/keys/<uuid:uid>", KeyResource, {"delete": "destroy"}),
    _at("tenants", TenantResource, LIST_AND_CREATE),
    _at("tenants/<slug:slug>", TenantResource, READ_AND_CHANGE),
    _at("tenants/<slug:slug>/domains/<slug:domain>", TenantResource, {"put": "join", "delete": "leave"}),
    _at("tenants/<slug:slug>/members", MemberResource, LIST),
    _at("tenants/<slug:slug>/members/<slug:handle>/<slug:role>", MemberResource, {"put": "give", "delete": "take"}),
    _at("people", PersonResource, LIST_AND_CREATE),
    _at("people/<slug:handle>", PersonResource, READ_AND_CHANGE),
    _at("agents", AgentResource, LIST_AND_CREATE),
    _at("agents/<slug:slug>", AgentResource, READ_AND_CHANGE),
    *_acts("agents/<slug:slug>", AgentResource, "suspend", "resume"),
    _at("delegations", DelegationResource, LIST_AND_CREATE),
    _at("delegations/<uuid:uid>", DelegationResource, READ_AND_CHANGE),
    *_acts("delegations/<uuid:uid>", DelegationResource, "revoke", "tokens"),
    _at("servers", ServerResource, LIST_AND_CREATE),
    _at("servers/<slug:slug>", ServerResource, READ_AND_CHANGE),
    *_acts("servers/<slug:slug>", ServerResource, "probe", "activate", "quarantine", "retire"),
    *_acts("servers/<slug:slug>", ServerResource, "tools", "probes", "changes", "callers", method="get"),
    _at("servers/<slug:slug>/credential", CredentialResource, {**READ, "put": "update", "delete": "destroy"}),
    _at("apis", ApiResource, {"post": "create"}),
    _at("servers/<slug:slug>/document", DocumentResource, {**READ, "put": "update"}),
    _at("servers/<slug:slug>/document/preview", DocumentResource, {"post": "preview"}),
    _at("tools", ToolResource, LIST),
    _at("tools/<uuid:uid>", ToolResource, READ),
    *_acts("tools/<uuid:uid>", ToolResource, "approve", "reject", "classify"),
    _at("groups", GroupResource, LIST_AND_CREATE),
    _at("groups/<slug:slug>", GroupResource, READ_AND_CHANGE),
    _at("audit/events", EventResource, LIST),
    _at("audit/events/<uuid:uid>", EventResource, READ),
    _at("audit/events/<uuid:uid>/proof", EventResource, {"get": "proof"}),
    _at("audit/streams", StreamResource, LIST),
    _at("audit/streams/<slug:name>/verify", VerificationResource, {"get": "verify"}),
    re_path("^.*$", Nowhere.as_view()),
]
