"""The audit log: who did what through whom, with proofs that anybody can check."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from rest_framework import serializers

from audit import queries as audit
from audit.keys import load_verifier
from audit.models import Stream
from audit.verification import verify_stream
from kernel.errors import NotFound, Unavailable
from portal.rest.fields import EVENT_KINDS, Output
from portal.rest.filters import AuditFilters
from portal.rest.listing import (
    Listing,
    Mark,
    Page,
    cleaned,
    limit_of,
    next_address,
    read_cursor,
    refuse_unknown,
    sort_of,
)
from portal.rest.operations import Resource, operation
from portal.rest.throttling import HeavyThrottle, PrincipalThrottle
from tenants import queries as tenants

NEWEST = "newest"


class EventOut(Output):
    """A call or a change. Person and agent are named where you may see them."""

    uid = serializers.UUIDField()
    stream = serializers.UUIDField()
    stream_name = serializers.CharField()
    kind = serializers.ChoiceField(choices=EVENT_KINDS)
    call = serializers.UUIDField(allow_null=True)
    at = serializers.DateTimeField()
    person = serializers.UUIDField(allow_null=True)
    person_handle = serializers.SerializerMethodField()
    agent = serializers.UUIDField(allow_null=True)
    agent_slug = serializers.SerializerMethodField()
    delegation = serializers.UUIDField(allow_null=True)
    verb = serializers.CharField()
    object = serializers.CharField()
    decision = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    result = serializers.CharField(help_text="Of the outcome; `unknown`, or empty while it runs.")
    ms = serializers.IntegerField(allow_null=True)
    index = serializers.IntegerField(allow_null=True, help_text="Its place in the log; null until it is sequenced.")

    def get_person_handle(self, row: audit.Row) -> str:
        """Returns the person's handle, or nothing."""
        found = self.context.get("people", {}).get(str(row.person))
        return found.handle if found else ""

    def get_agent_slug(self, row: audit.Row) -> str:
        """Returns the agent's slug, or nothing."""
        found = self.context.get("agents", {}).get(str(row.agent))
        return found.slug if found else ""


class OtherEvent(Output):
    """Another record of the same call."""

    uid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=EVENT_KINDS)
    at = serializers.DateTimeField()
    result = serializers.CharField()


class Said(Output):
    """What was said, and whether it matches the commitment in the leaf; null when it was erased or not kept."""

    part = serializers.CharField()
    body = serializers.CharField(allow_null=True)
    matches = serializers.BooleanField(allow_null=True)


class EventDetail(Output):
    """One record: its leaf as it is in the tree, what was said, its place."""

    uid = serializers.UUIDField()
    leaf = serializers.DictField()
    payload = Said(allow_null=True)
    index = serializers.IntegerField(allow_null=True)
    checkpoint = serializers.CharField(allow_null=True, help_text="The first signed checkpoint that covers it.")
    others = OtherEvent(many=True)


class StreamOut(Output):
    """A log."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.CharField()
    created_at = serializers.DateTimeField()


class FindingOut(Output):
    """Something that does not hold."""

    what = serializers.CharField()
    index = serializers.IntegerField(allow_null=True)
    text = serializers.CharField()


class ReportOut(Output):
    """What was checked of a log and what was found."""

    stream = serializers.UUIDField(source="stream.uid")
    name = serializers.CharField(source="stream.name")
    ok = serializers.BooleanField()
    size = serializers.IntegerField()
    root = serializers.SerializerMethodField()  # type: ignore[assignment]
    checkpoints = serializers.IntegerField()
    findings = FindingOut(many=True)

    def get_root(self, report: Any) -> str:
        """Returns the root hash in hex."""
        return str(report.root.hex())


class EventResource(Resource):
    """Audit records."""

    resource = "events"
    LISTING = Listing(filters=AuditFilters, reversible=False)

    @operation(summary="List calls and changes", gives=EventOut, listing=LISTING)
    def list(self) -> Page:
        """Newest first, each call with its outcome, in the logs of the tenants that you see."""
        request = self.request
        refuse_unknown(request, self.LISTING)
        sort_of(request, self.LISTING)
        chosen = audit.Filters(**_given(AuditFilters(request.query_params)))
        limit, mark = limit_of(request), read_cursor(request, NEWEST)
        before = mark.pk if mark else None
        rows = audit.calls_visible(self.principal.access.visible, chosen, before=before, limit=limit + 1)
        shown = rows[:limit]
        following = next_address(request, Mark(NEWEST, "", shown[-1].id) if len(rows) > limit else None)
        return Page(shown, following, _names(shown))

    @operation(summary="Read a record", gives=EventDetail)
    def retrieve(self, uid: UUID) -> dict[str, Any]:
        """With its leaf, what was said, its place in the log and the other records of its call."""
        found = audit.event_detail(uid, self.principal.access.visible)
        note = found.checkpoint.note if found.checkpoint else None
        names = ("leaf", "payload", "index", "others")
        return {"uid": uid, "checkpoint": note, **{name: getattr(found, name) for name in names}}

    @operation(summary="Prove a record", text=True)
    def proof(self, uid: UUID) -> HttpResponse:
        """A `c2sp.org/tlog-proof@v1` text with the record itself: anybody checks it with the log's public key."""
        proof = audit.inclusion_proof(uid, self.principal.access.visible)
        return HttpResponse(proof.text(), content_type="text/plain; charset=utf-8")


class StreamResource(Resource):
    """Logs."""

    resource = "streams"

    @operation(summary="List logs", gives=StreamOut, listing=Listing(sorts={"name": "name", "created": "created_at"}))
    def list(self) -> Any:
        """The logs of the tenants that you see."""
        return audit.streams(self.principal.access.visible)


class VerificationResource(Resource):
    """Recomputes a log. It reads every record, so it may be asked a few times a minute."""

    resource = "streams"
    throttle_classes = [PrincipalThrottle, HeavyThrottle]

    @operation(summary="Verify a log", gives=ReportOut, heavy=True)
    def verify(self, name: str) -> Any:
        """Recomputes the tree from the records and compares it with everything that was stored and signed."""
        return verify_stream(self._stream(name), _verifier())

    def _stream(self, name: str) -> Stream:
        found = audit.streams(self.principal.access.visible).filter(name=name).first()
        if found is None:
            raise NotFound("There is no such log, or you may not see it.")
        return found


def _given(form: AuditFilters) -> dict[str, Any]:
    return {name: value for name, value in cleaned(form).items() if value}


def _names(rows: list[audit.Row]) -> dict[str, Any]:
    return {
        "people": tenants.names_of_people({str(row.person) for row in rows if row.person}),
        "agents": tenants.names_of_agents({str(row.agent) for row in rows if row.agent}),
    }


def _verifier() -> Any:
    try:
        return load_verifier(settings.HANSE.public_dir / "audit.vkey")
    except OSError as error:
        raise Unavailable("Nothing was sequenced yet, so there is no key to verify with.") from error
