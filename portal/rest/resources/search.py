"""Asking the context, and how much of it there is."""

from dataclasses import asdict
from typing import Any, Final

from rest_framework import serializers

from kernel.errors import Invalid
from portal.rest.context_filters import SEARCH_MODES, SearchQuestion
from portal.rest.fields import TIERS, Level, Output, TenantRef
from portal.rest.filters import TenantFilters
from portal.rest.listing import Listing, Page, page_of
from portal.rest.operations import Resource, operation
from portal.rest.resources.documents import Marks
from registry.context import queries
from registry.context.inbox import coverage
from tenants import queries as tenants
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Sensitivity, Tier

USUAL: Final = 10


class HitOut(Output):
    """A passage that was found: what it says, where it stands, whose it is, and how fresh."""

    rank = serializers.IntegerField()
    chunk = serializers.UUIDField()
    document = serializers.UUIDField()
    title = serializers.CharField()
    path = serializers.CharField()
    commit = serializers.CharField()
    heading = serializers.ListField(child=serializers.CharField())
    text = serializers.CharField()
    line = serializers.IntegerField(help_text="0: not known.")
    page = serializers.IntegerField(help_text="0: it has no pages.")
    marks = Marks()
    sensitivity = Level(Sensitivity)
    changed_at = serializers.DateTimeField()
    language = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a part of the answer
    source_name = serializers.CharField()
    owner = serializers.CharField()
    owner_name = serializers.CharField()
    tier = serializers.ChoiceField(choices=TIERS)
    score = serializers.FloatField()
    text_place = serializers.IntegerField(allow_null=True, help_text="Its place in the search by words.")
    vector_place = serializers.IntegerField(allow_null=True, help_text="Its place in the search by meaning.")


class AnswerOut(Output):
    """The hits, best first. `note` says what could not be done as it was asked."""

    hits = HitOut(many=True)
    mode = serializers.ChoiceField(choices=SEARCH_MODES)
    note = serializers.CharField()


class CoverageOut(Output):
    """How much a tenant has written down that can be found, and what was asked in vain."""

    tenant = TenantRef()
    sources = serializers.IntegerField()
    documents = serializers.IntegerField()
    stale_documents = serializers.IntegerField(help_text="Not changed for 180 days.")
    chunks = serializers.IntegerField()
    withheld = serializers.IntegerField()
    unembedded = serializers.IntegerField(help_text="Found by their words alone until they have a vector.")
    changed_at = serializers.DateTimeField(allow_null=True)
    read_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.IntegerField(help_text="What agents learned and nobody has decided on.")
    remembered = serializers.IntegerField()
    gaps = serializers.IntegerField()
    asked_in_vain = serializers.IntegerField()


class SearchResource(Resource):
    """Search."""

    resource = "context_search"

    @operation(summary="Search the context", asks=SearchQuestion, gives=AnswerOut)
    def search(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Among everything that you see, or what a team reaches of it, up to your clearance. Nothing is kept of it."""
        among = self._among(asked["team"], asked["tier"])
        answer = queries.search(
            self.principal,
            queries.Question(
                text=asked["q"],
                owners=among,
                sources=self._sources(among, asked["source"]),
                since=asked["since"],
                ceiling=self.principal.clearance,
                mode=asked["mode"] or "hybrid",
                limit=asked["limit"] or USUAL,
            ),
        )
        hits = [{"rank": rank, **_facts(hit)} for rank, hit in enumerate(answer.hits, 1)]
        return {"hits": hits, "mode": answer.mode, "note": answer.note}

    def _among(self, team: str, tier: str) -> frozenset[int]:
        """Whose documents are searched; what is not visible is left out by the search itself."""
        rows = tenants.tenants(self.principal)
        if team:
            rows = rows.filter(pk__in=tenants.reach_of(self._team(team)))
        if tier:
            rows = rows.filter(tier=tier)
        return frozenset(rows.values_list("pk", flat=True))

    def _team(self, slug: str) -> Tenant:
        found: Tenant = self.named("?team", tenants.tenant_by_slug, slug)
        if found.tier != Tier.TEAM:
            raise Invalid("Only a team has a reach.", errors={"?team": [f"“{slug}” is a {found.tier}."]})
        return found

    def _sources(self, among: frozenset[int], slug: str) -> frozenset[int] | None:
        if not slug:
            return None
        rows = queries.sources(self.principal).filter(owner__in=among, slug=slug)
        return frozenset(rows.values_list("pk", flat=True))


LISTING: Final = Listing(filters=TenantFilters, sorts={"slug": "slug", "name": "name"})


class CoverageResource(Resource):
    """What is written down, by tenant."""

    resource = "context_coverage"

    @operation(summary="List how much is covered", gives=CoverageOut, listing=LISTING)
    def list(self) -> Page:
        """The figures of every tenant that you see, also of those that have nothing yet."""
        page = page_of(self.request, tenants.tenants(self.principal), LISTING)
        return Page(_figures(self.principal, *page.rows), page.next)

    @operation(summary="Read how much is covered", gives=CoverageOut)
    def retrieve(self, slug: str) -> dict[str, Any]:
        """The figures of one tenant."""
        return _figures(self.principal, tenants.tenant_by_slug(self.principal, slug))[0]


def _figures(principal: Principal, *rows: Tenant) -> list[dict[str, Any]]:
    found = coverage(principal, rows)
    return [{"tenant": row, **asdict(found[row.pk])} for row in rows]


def _facts(hit: queries.Hit) -> dict[str, Any]:
    return {name: getattr(hit, name) for name in hit.__slots__}
