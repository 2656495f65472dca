"""Addresses of the REST API. `portal/urls.py` includes them at `api/v1/`."""

from typing import Final

from django.urls import URLPattern, path, re_path

from portal.rest import converters  # noqa: F401 - registers what stands in the addresses below
from portal.rest.operations import Resource
from portal.rest.resources.agents import AgentResource
from portal.rest.resources.audit import EventResource, StreamResource, VerificationResource
from portal.rest.resources.blueprints import BlueprintResource, LintResource, PreviewResource
from portal.rest.resources.change_requests import ChangeRequestResource
from portal.rest.resources.delegations import DelegationResource
from portal.rest.resources.descriptions import Nowhere, OpenAPI
from portal.rest.resources.documents import DocumentResource as ContextDocumentResource
from portal.rest.resources.forks import ForkResource
from portal.rest.resources.git_credentials import RepositoryCredentialResource, SourceCredentialResource
from portal.rest.resources.groups import GroupResource
from portal.rest.resources.harness import HarnessResource
from portal.rest.resources.imports import ImportResource, SourceImportResource
from portal.rest.resources.me import KeyResource, MeResource
from portal.rest.resources.memories import GapResource, MemoryResource
from portal.rest.resources.onboardings import OnboardingResource, StepResource
from portal.rest.resources.people import PersonResource
from portal.rest.resources.repositories import (
    PatternRequestResource,
    RepositoryRequestResource,
    RepositoryResource,
)
from portal.rest.resources.search import CoverageResource, SearchResource
from portal.rest.resources.servers import CredentialResource, ServerResource
from portal.rest.resources.sign_in_groups import SignInGroupResource
from portal.rest.resources.sources import SourceResource
from portal.rest.resources.tenants import MemberResource, TenantResource
from portal.rest.resources.tools import ToolResource
from portal.rest.resources.versions import VersionResource
from portal.rest.resources.wrapping import ApiResource, DocumentResource

LIST: Final = {"get": "list"}
LIST_AND_CREATE: Final = {"get": "list", "post": "create"}
READ: Final = {"get": "retrieve"}
SECRET: Final = {**READ, "put": "update", "delete": "destroy"}
READ_AND_CHANGE: Final = {"get": "retrieve", "patch": "partial_update"}
REPOSITORY: Final = "repositories/<slug:team>/<slug:slug>"
BLUEPRINT: Final = "blueprints/<namespace:namespace>/<slug:name>"
VERSION: Final = f"{BLUEPRINT}/versions/<semver:semver>"
FORK: Final = "forks/<slug:team>/<slug:name>"
REQUEST: Final = "change-requests/<uuid:uid>"
SOURCE: Final = "context/sources/<slug:owner>/<slug:slug>"
READ_DOCUMENT: Final = "context/documents/<uuid:uid>"
IMPORT: Final = "context/imports/<uuid:uid>"
MEMORY: Final = "context/memories/<uuid:uid>"


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
    _at("tenants/<slug:slug>/harness", HarnessResource, READ),
    _at("tenants/<slug:slug>/harness/layer", HarnessResource, {"get": "layer", "put": "update"}),
    _at("tenants/<slug:slug>/harness/preview", HarnessResource, {"post": "preview"}),
    _at("tenants/<slug:slug>/members", MemberResource, LIST),
    _at("tenants/<slug:slug>/members/<slug:handle>/<slug:role>", MemberResource, {"put": "give", "delete": "take"}),
    _at("tenants/<slug:slug>/sign-in-groups", SignInGroupResource, LIST_AND_CREATE),
    _at("tenants/<slug:slug>/sign-in-groups/<uuid:uid>", SignInGroupResource, {**READ, "delete": "destroy"}),
    _at("onboardings", OnboardingResource, LIST_AND_CREATE),
    _at("onboardings/<uuid:uid>", OnboardingResource, READ),
    *_acts("onboardings/<uuid:uid>", OnboardingResource, "hand", "propose", "close", "call"),
    _at("onboardings/<uuid:uid>/steps/<slug:key>", StepResource, READ_AND_CHANGE),
    _at("onboardings/<uuid:uid>/steps/<slug:key>/plan", StepResource, {"get": "plan"}),
    *_acts("onboardings/<uuid:uid>/steps/<slug:key>", StepResource, "commit"),
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
    *_acts("servers/<slug:slug>", ServerResource, "tools", "probes", "changes", "callers", "contract", method="get"),
    _at("servers/<slug:slug>/credential", CredentialResource, SECRET),
    _at("apis", ApiResource, {"post": "create"}),
    _at("servers/<slug:slug>/document", DocumentResource, {**READ, "put": "update"}),
    _at("servers/<slug:slug>/document/preview", DocumentResource, {"post": "preview"}),
    _at("tools", ToolResource, LIST),
    _at("tools/<uuid:uid>", ToolResource, READ),
    *_acts("tools/<uuid:uid>", ToolResource, "approve", "reject", "classify"),
    _at("groups", GroupResource, LIST_AND_CREATE),
    _at("groups/<slug:slug>", GroupResource, READ_AND_CHANGE),
    _at("repositories", RepositoryResource, LIST_AND_CREATE),
    _at(REPOSITORY, RepositoryResource, {**READ_AND_CHANGE, "delete": "destroy"}),
    *_acts(REPOSITORY, RepositoryResource, "measure", "lower"),
    _at(f"{REPOSITORY}/credential", RepositoryCredentialResource, SECRET),
    *_acts(REPOSITORY, RepositoryResource, "record", "changes", method="get"),
    _at(f"{REPOSITORY}/requests", RepositoryRequestResource, LIST_AND_CREATE),
    _at("pattern-requests", PatternRequestResource, LIST),
    _at("pattern-requests/<uuid:uid>", PatternRequestResource, READ),
    *_acts("pattern-requests/<uuid:uid>", PatternRequestResource, "approve", "decline"),
    _at("blueprints", BlueprintResource, LIST),
    _at("blueprints/lint", LintResource, {"post": "lint"}),
    _at(BLUEPRINT, BlueprintResource, READ),
    *_acts(BLUEPRINT, BlueprintResource, "deprecate", "restore"),
    *_acts(BLUEPRINT, BlueprintResource, "forks", "families", "changes", method="get"),
    *_acts(BLUEPRINT, PreviewResource, "preview"),
    _at(f"{BLUEPRINT}/versions", VersionResource, LIST_AND_CREATE),
    _at(VERSION, VersionResource, READ),
    *_acts(VERSION, VersionResource, "diff", method="get"),
    *_acts(VERSION, VersionResource, "publish", "reject", "withdraw"),
    _at("forks", ForkResource, LIST_AND_CREATE),
    _at(FORK, ForkResource, READ_AND_CHANGE),
    *_acts(FORK, ForkResource, "difference", "changes", method="get"),
    *_acts(FORK, ForkResource, "rebase", "configure", "retire"),
    _at(f"{FORK}/requests", ForkResource, {"get": "requests", "post": "request_change"}),
    _at("change-requests", ChangeRequestResource, LIST),
    _at(REQUEST, ChangeRequestResource, READ),
    *_acts(REQUEST, ChangeRequestResource, "preview", method="get"),
    *_acts(REQUEST, ChangeRequestResource, "accept", "decline", "withdraw"),
    _at("context/search", SearchResource, {"get": "search"}),
    _at("context/coverage", CoverageResource, LIST),
    _at("context/coverage/<slug:slug>", CoverageResource, READ),
    _at("context/sources", SourceResource, LIST_AND_CREATE),
    _at(SOURCE, SourceResource, {**READ_AND_CHANGE, "delete": "destroy"}),
    _at(f"{SOURCE}/credential", SourceCredentialResource, SECRET),
    _at(f"{SOURCE}/documents", ContextDocumentResource, {"get": "of_source"}),
    _at(f"{SOURCE}/imports", SourceImportResource, {"get": "of_source", "post": "begin"}),
    _at("context/documents", ContextDocumentResource, LIST),
    _at(READ_DOCUMENT, ContextDocumentResource, {**READ, "delete": "destroy"}),
    *_acts(READ_DOCUMENT, ContextDocumentResource, "chunks", method="get"),
    _at("context/imports", ImportResource, LIST),
    _at(IMPORT, ImportResource, READ),
    *_acts(IMPORT, ImportResource, "items", method="get"),
    *_acts(IMPORT, ImportResource, "pause", "resume", "retry", "cancel"),
    _at("context/memories", MemoryResource, LIST),
    _at(MEMORY, MemoryResource, {**READ, "delete": "destroy"}),
    *_acts(MEMORY, MemoryResource, "accept", "reject"),
    _at("context/gaps", GapResource, LIST),
    _at("context/gaps/forget", GapResource, {"post": "forget"}),
    _at("context/gaps/<uuid:uid>", GapResource, {"delete": "destroy"}),
    _at("audit/events", EventResource, LIST),
    _at("audit/events/<uuid:uid>", EventResource, READ),
    _at("audit/events/<uuid:uid>/proof", EventResource, {"get": "proof"}),
    _at("audit/streams", StreamResource, LIST),
    _at("audit/streams/<slug:name>/verify", VerificationResource, {"get": "verify"}),
    re_path(r"^[\s\S]*$", Nowhere.as_view()),
]
