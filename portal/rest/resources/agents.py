"""Agents: registered in a team, answered for by a sponsor, suspended at once when something is wrong."""

from typing import Any

from rest_framework import serializers

from portal.rest import filters
from portal.rest.fields import (
    AGENT_STATUSES,
    PROFILES,
    Choice,
    Input,
    Output,
    PersonRef,
    Reason,
    TenantRef,
    Text,
    Whole,
)
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from tenants import queries as tenants
from tenants.identity import agents
from tenants.models import Agent
from tenants.rules import MAX_RISK, Profile

CHANGEABLE = ("name", "purpose", "profile", "risk")


class AgentOut(Output):
    """An agent."""

    uid = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    home = TenantRef()
    sponsor = PersonRef()
    profile = serializers.ChoiceField(choices=PROFILES)
    risk = serializers.IntegerField()
    status = serializers.ChoiceField(choices=AGENT_STATUSES)
    status_reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    version = serializers.IntegerField()


class NewAgent(Input):
    """An agent to register: it can do nothing until somebody delegates to it."""

    slug = Text(max_length=48)
    name = Text(max_length=120)
    home = Text(max_length=48, help_text="The slug of its team.")
    sponsor = Text(max_length=254, help_text="The handle of an active member of that team.")
    profile = Choice(choices=PROFILES, required=False)
    risk = Whole(min_value=0, max_value=MAX_RISK, required=False)
    purpose = Text(max_length=400, required=False, allow_blank=True)


class AgentChange(Input):
    """What of an agent can change; what is left out stays."""

    name = Text(max_length=120, required=False)
    purpose = Text(max_length=400, required=False, allow_blank=True)
    profile = Choice(choices=PROFILES, required=False)
    risk = Whole(min_value=0, max_value=MAX_RISK, required=False)


class AgentResource(Resource):
    """Agents."""

    resource = "agents"

    @operation(
        summary="List agents",
        gives=AgentOut,
        listing=Listing(
            filters=filters.AgentFilters,
            sorts={"slug": "slug", "name": "name", "home": "home__slug", "created": "created_at"},
        ),
    )
    def list(self) -> Any:
        """Agents of the teams that you see."""
        return tenants.agents(self.principal)

    @operation(
        summary="Register an agent", takes=NewAgent, gives=AgentOut, status=201, place=lambda row: f"agents/{row.slug}"
    )
    def create(self, data: dict[str, Any]) -> Agent:
        """Who keeps the team registers its agents."""
        home = self.named("home", tenants.tenant_by_slug, data.pop("home"))
        sponsor = self.named("sponsor", tenants.person_by_handle, data.pop("sponsor"))
        if "profile" in data:
            data["profile"] = Profile(data["profile"])
        return agents.register_agent(actor=self.principal, home=home, sponsor=sponsor, **data)

    @operation(summary="Read an agent", gives=AgentOut)
    def retrieve(self, slug: str) -> Agent:
        """One agent."""
        return tenants.agent_by_slug(self.principal, slug)

    @operation(summary="Change an agent", takes=AgentChange, gives=AgentOut, conditional=True)
    def partial_update(self, data: dict[str, Any], slug: str) -> Agent:
        """Its description, profile and risk class, by who keeps its home."""
        agent = tenants.agent_by_slug(self.principal, slug)
        expected = self.expected(agent)
        wanted = {name: data.get(name, getattr(agent, name)) for name in CHANGEABLE}
        return agents.change_agent(actor=self.principal, agent=agent, expected_version=expected, **wanted)

    @operation(summary="Suspend an agent", takes=Reason, gives=AgentOut, conditional=True)
    def suspend(self, data: dict[str, Any], slug: str) -> Agent:
        """Every call of it is refused from now on."""
        agent = tenants.agent_by_slug(self.principal, slug)
        return agents.suspend_agent(actor=self.principal, agent=agent, expected_version=self.expected(agent), **data)

    @operation(summary="Resume an agent", gives=AgentOut, conditional=True)
    def resume(self, slug: str) -> Agent:
        """Active again, by who keeps its home."""
        agent = tenants.agent_by_slug(self.principal, slug)
        return agents.resume_agent(actor=self.principal, agent=agent, expected_version=self.expected(agent))
