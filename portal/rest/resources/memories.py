"""What agents learned and propose to their teams, and what they asked in vain."""

from typing import Any, Final

from rest_framework import serializers

from portal.rest.context_filters import Because, GapFilters, MemoryFilters
from portal.rest.fields import AgentRef, Input, Level, Output, PersonRef, Reason, TenantRef, Text
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from portal.rest.resources.documents import Marks
from registry.context import inbox
from registry.context.memories import MAX_STATEMENT, Memory
from registry.context.services import gaps as gap_services
from registry.context.services import memories as services
from tenants import queries as tenants
from tenants.rules import Sensitivity


class MemoryOut(Output):
    """A statement that an agent proposes. Nobody finds it before it was accepted."""

    uid = serializers.UUIDField()
    owner = TenantRef()
    text = serializers.CharField()
    evidence = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    marks = Marks()
    times = serializers.IntegerField(help_text="How often it was proposed.")
    state = serializers.ChoiceField(choices=Memory.State.choices)
    person = PersonRef()
    agent = AgentRef()
    delegation = serializers.UUIDField(source="delegation.uid")
    call = serializers.UUIDField(help_text="The call that proposed it, as the audit log names it.")
    sensitivity = Level(Sensitivity, help_text="What the call could see, at most.")
    created_at = serializers.DateTimeField()
    decided_by = PersonRef(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    document = serializers.UUIDField(
        source="document.uid", default=None, allow_null=True, help_text="What it became: a document that agents find."
    )
    version = serializers.IntegerField()


class MemoryAcceptance(Input):
    """How it is kept: in other words than it was proposed, perhaps, and how sensitive."""

    text = Text(max_length=MAX_STATEMENT, required=False)
    sensitivity = Level(Sensitivity, required=False)


class GapOut(Output):
    """A question that found nothing good. It says neither who asked nor in which call."""

    uid = serializers.UUIDField()
    owner = TenantRef()
    text = serializers.CharField()
    asked = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()


class WhoseGaps(Input):
    """Whose questions are erased."""

    owner = Text(max_length=48)


class ErasedOut(Output):
    """How many were erased."""

    erased = serializers.IntegerField()


class MemoryResource(Resource):
    """What agents learned."""

    resource = "memories"
    LISTING: Final = Listing(filters=MemoryFilters, sorts={"newest": "-pk", "proposed": "-times"})

    @operation(summary="List what agents learned", gives=MemoryOut, listing=LISTING)
    def list(self) -> Any:
        """The inboxes of the teams that you see. `waiting_for_me` are those that you may decide on."""
        is_mine = self.request.query_params.get("waiting_for_me") == "true"
        rows = inbox.memories_to_review(self.principal) if is_mine else inbox.memories(self.principal)
        return inbox.readable_memories(self.principal, rows)

    @operation(summary="Read what an agent learned", gives=MemoryOut)
    def retrieve(self, uid: str) -> Memory:
        """One statement with who proposed it and what was decided."""
        return inbox.readable_memory(self.principal, uid)

    @operation(summary="Accept what an agent learned", takes=MemoryAcceptance, gives=MemoryOut, conditional=True)
    def accept(self, data: dict[str, Any], uid: str) -> Memory:
        """It becomes a document of the team; each hit of it says who learned it and who accepted it."""
        memory = inbox.readable_memory(self.principal, uid)
        expected = self.expected(memory)
        return services.accept_memory(actor=self.principal, memory=memory, expected_version=expected, **data)

    @operation(summary="Reject what an agent learned", takes=Reason, gives=MemoryOut, conditional=True)
    def reject(self, data: dict[str, Any], uid: str) -> Memory:
        """An agent that proposes the same again is told so."""
        memory = inbox.readable_memory(self.principal, uid)
        expected = self.expected(memory)
        return services.reject_memory(actor=self.principal, memory=memory, expected_version=expected, **data)

    @operation(summary="Erase what an agent learned", asks=Because, status=204, conditional=True)
    def destroy(self, asked: dict[str, Any], uid: str) -> None:
        """With the document that it became. The log keeps that it was there, not what it said."""
        memory = inbox.readable_memory(self.principal, uid)
        expected = self.expected(memory)
        services.erase_memory(actor=self.principal, memory=memory, expected_version=expected, **asked)


class GapResource(Resource):
    """What agents asked in vain."""

    resource = "gaps"

    @operation(
        summary="List what was asked in vain",
        gives=GapOut,
        listing=Listing(filters=GapFilters, sorts={"asked": "-asked", "last": "-last_at"}),
    )
    def list(self) -> Any:
        """Questions of the agents of teams that you see, the most asked first."""
        return inbox.gaps(self.principal)

    @operation(summary="Erase a question", status=204)
    def destroy(self, uid: str) -> None:
        """It was answered, or should not be kept."""
        gap_services.forget_gap(actor=self.principal, gap=inbox.gap_by_uid(self.principal, uid))

    @operation(summary="Erase every question of a team", takes=WhoseGaps, gives=ErasedOut)
    def forget(self, data: dict[str, Any]) -> dict[str, int]:
        """For who keeps it."""
        owner = self.named("owner", tenants.tenant_by_slug, data["owner"])
        return {"erased": gap_services.forget_gaps(actor=self.principal, owner=owner)}
