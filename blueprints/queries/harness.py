"""Reads of the harness: the layer of a tenant, what is in force for it, and who inherits what it demands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Model, Prefetch, Q, QuerySet

from blueprints.format.findings import Finding, fault, located, pointer, steps
from blueprints.format.reading import Source, Unreadable, read_yaml
from blueprints.harness import editing, merging
from blueprints.harness.inheritance import Federation
from blueprints.harness.layers import Check, check_layer, empty_layer
from blueprints.harness.merging import Refusal
from blueprints.models import Layer
from kernel import clock
from tenants import queries as tenants
from tenants.authority import require_keeper
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.rules import Tier
from tenants.together import together

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What is in force for a tenant: `sources` are the tenants whose layers it is made of, by slug, uppermost first.

    `is_whole` is false for who sees a team and perhaps not every domain of it: then more may be in force than is shown.
    """

    tenant: Tenant
    own: Layer | None
    sources: Mapping[str, Tenant]
    checks: list[Check]
    lapsed: list[Refusal]
    is_whole: bool

    @property
    def document(self) -> Document:
        """The tenant's own layer; an empty one when it has written none."""
        return document_of(self.own, self.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What writing a layer would do. With a finding it would be refused, and nothing is said about those below."""

    findings: list[Finding]
    changes: list[editing.Changed]
    teams: list[Tenant]
    lapsing: list[Refusal]
    layer_version: int


def today() -> date:
    """Returns the day by which waivers are judged."""
    return clock.now().date()


def document_of(layer: Layer | None, tenant: Tenant) -> Document:
    """Returns the content of a layer; an empty one for a tenant that has none."""
    return empty_layer(tenant.tier, tenant.slug) if layer is None else layer.document


def layers(principal: Principal) -> QuerySet[Layer]:
    """Returns visible layers with their owners."""
    return Layer.objects.visible_to(principal).select_related("owner", "changed_by")


def layer_of(principal: Principal, tenant: Tenant) -> Layer | None:
    """Returns the layer of a tenant, when it has written one and the principal sees it."""
    return layers(principal).filter(owner=tenant).first()


def layer_history(layer: Layer) -> QuerySet[Model]:
    """Returns the changes of a layer that the principal was already given, newest first."""
    return layer.history.select_related("history_user").order_by("-history_date", "-history_id")  # type: ignore[no-any-return]


def harness_of(principal: Principal, tenant: Tenant) -> Harness:
    """Returns what is in force for a tenant, as far as the principal sees whose layers it is made of.

    Layers of the same tier that this tenant is not below are never in it. What is left out because something above
    changed later stands in `lapsed`.
    """
    sources = list(_sources(principal, tenant))
    return _put_together(principal, tenant, sources, layers(principal).filter(owner__in=sources))


def overview_of(principal: Principal, tenant: Tenant) -> tuple[Harness, list[Tenant], list[Refusal]]:
    """Returns what is in force for a tenant, the visible teams that inherit its checks, and what lapsed below it.

    Of the platform that is what lapsed in domains alone: the page of a domain says it of its teams.
    """
    if tenant.tier == Tier.TEAM:
        return harness_of(principal, tenant), [], []
    read = together(sources=_sources(principal, tenant), teams=tenants.teams_in(principal, tenant))
    sources, teams = read["sources"], read["teams"]
    rows = list(_rows_around(principal, teams if tenant.tier == Tier.DOMAIN else []))
    own = {node.pk for node in sources}
    found = _put_together(principal, tenant, sources, [row for row in rows if row.owner_id in own])
    federation = _federation(sources[0], rows)
    day = today()
    lapsed = federation.lapsed_of_teams if tenant.tier == Tier.DOMAIN else federation.lapsed_of_domains
    return found, teams, _decidable(principal, tenant, federation, lapsed(today=day))


def _put_together(principal: Principal, tenant: Tenant, nodes: Iterable[Tenant], rows: Iterable[Layer]) -> Harness:
    sources, written = {node.slug: node for node in nodes}, {row.owner_id: row for row in rows}
    texts = {slug: document_of(written.get(node.pk), node) for slug, node in sources.items()}
    settled = merging.settle(list(texts.values()), today=today())
    is_whole = tenant.tier != Tier.TEAM or sees_domains_of(principal, tenant)
    return Harness(
        tenant=tenant,
        own=written.get(tenant.pk),
        sources=sources,
        checks=settled.checks,
        lapsed=[one for one in settled.lapsed if is_whole or _is_decidable(one, texts, sources)],
        is_whole=is_whole,
    )


def sees_domains_of(principal: Principal, team: Tenant) -> bool:
    """Tells whether a principal surely sees every domain of a team: by a role in it, or as a platform admin."""
    return principal.access.visible is None or team.pk in principal.access.roles


def _sources(principal: Principal, tenant: Tenant) -> QuerySet[Tenant]:
    """Returns the platform, the visible domains of a team, and the tenant itself, uppermost first."""
    wanted = Q(tier=Tier.PLATFORM) | Q(pk=tenant.pk)
    if tenant.tier == Tier.TEAM:
        wanted |= Q(pk__in=tenants.domains_of(principal, tenant).order_by().values("pk"))
    return tenants.tenants(principal).filter(wanted)


def _is_decidable(refusal: Refusal, documents: Mapping[str, Document], seen: Iterable[str]) -> bool:
    """Tells whether an entry can be judged: one that tightens a check of a domain that is not seen cannot be."""
    if refusal.finding.code != "UNKNOWN_CHECK":
        return True
    place = int(refusal.finding.path.split("/")[2])
    return documents[refusal.tenant]["tighten"][place]["check"].partition("/")[0] in set(seen)


def above(principal: Principal, tenant: Tenant) -> list[Check]:
    """Returns the checks that stand above a tenant now; above the platform stands nothing."""
    nodes = [node for node in _sources(principal, tenant) if node.pk != tenant.pk]
    if not nodes:
        return []
    rows = {row.owner_id: row for row in layers(principal).filter(owner__in=[node.pk for node in nodes])}
    return merging.settle([document_of(rows.get(node.pk), node) for node in nodes], today=today()).checks


def faults_of(principal: Principal, owner: Tenant, before: Document, document: Any) -> list[Finding]:
    """Returns why a layer cannot be written now: its form, its owner, what would be weaker than above, its waivers.

    What stood so before and no longer fits is left out already, and is no reason to refuse what has nothing to do with it.
    """
    found = check_layer(document)
    if found:
        return found
    if document["owner"] != empty_layer(owner.tier, owner.slug)["owner"]:
        said = f"This is the layer of the {owner.tier} {owner.slug!r}."
        return [fault("OWNER", ("owner",), said, f"Write tier: {owner.tier} and tenant: {owner.slug}.")]
    stood = set(editing.standing(before, document))
    misfits = merging.misfits(document, above(principal, owner), today=today())
    weaker = [finding for finding in misfits if pointer(steps(finding.path)[:2]) not in stood]
    return weaker + _waiver_faults(principal, before, document)


def _waiver_faults(principal: Principal, before: Document, document: Document) -> list[Finding]:
    handle = principal.person.handle if principal.person else None
    said = "A new or changed waiver is signed by who writes it, and by nobody for somebody else."
    signed = f"Write person: {handle}." if handle else "Only a person waives."
    late = "It is over already."
    return [
        *(fault("WAIVER_PERSON", ("waivers", place, "person"), said, signed)
          for place in editing.unsigned(before, document, handle)),
        *(fault("WAIVER_OVER", ("waivers", place, "expires"), late, "Choose today or a later day.")
          for place in editing.outdated(before, document, today())),
    ]  # fmt: skip


def preview(principal: Principal, owner: Tenant, *, text: str | None = None, document: Any = None) -> Preview:
    """Returns what writing this layer would do, without writing it; for who keeps the tenant, and so sees all below."""
    require_keeper(principal, owner, "preview a harness layer")
    own = layer_of(principal, owner)
    before, version = document_of(own, owner), own.version if own else 0
    try:
        source = Source(document) if text is None else read_yaml(text)
    except Unreadable as error:
        return Preview(findings=[error.finding], changes=[], teams=[], lapsing=[], layer_version=version)
    found = located(faults_of(principal, owner, before, source.value), source.places)
    if found:
        return Preview(findings=found, changes=[], teams=[], lapsing=[], layer_version=version)
    teams = inheritors(principal, owner)
    return Preview(
        findings=[],
        changes=list(editing.changes(before, source.value)),
        teams=teams,
        lapsing=_newly_lapsed(principal, owner, source.value, teams),
        layer_version=version,
    )


def _newly_lapsed(principal: Principal, owner: Tenant, document: Document, teams: Iterable[Tenant]) -> list[Refusal]:
    if owner.tier == Tier.TEAM:
        return []
    present = _federation(_sources(principal, owner)[0], _rows_around(principal, teams))
    after = present.with_layer(document)
    known = {(one.tenant, one.finding.path) for one in _below(owner, present)}
    found = [one for one in _below(owner, after) if (one.tenant, one.finding.path) not in known]
    return _decidable(principal, owner, after, found)


def _below(owner: Tenant, federation: Federation) -> Iterable[Refusal]:
    """Yields what lapsed below a tenant: below a domain are its teams alone."""
    return (federation.lapsed if owner.tier == Tier.PLATFORM else federation.lapsed_of_teams)(today=today())


def inheritors(principal: Principal, owner: Tenant) -> list[Tenant]:
    """Returns the visible teams for which the checks of a domain or the platform are in force; below a team is none."""
    return [] if owner.tier == Tier.TEAM else list(tenants.teams_in(principal, owner))


def _decidable(principal: Principal, owner: Tenant, federation: Federation, found: Iterable[Refusal]) -> list[Refusal]:
    """Returns what the principal can judge: whether a check of a domain that they do not see is gone, they cannot."""
    if principal.access.visible is None:
        return list(found)
    texts = {layer["owner"]["tenant"]: layer for layer in (*federation.domains.values(), *federation.team_layers)}
    seen = {federation.platform["owner"]["tenant"], owner.slug, *federation.domains}
    return [one for one in found if _is_decidable(one, texts, seen)]


def _rows_around(principal: Principal, teams: Iterable[Tenant]) -> QuerySet[Layer]:
    """Returns the layers of the platform, of visible domains and of these teams, with their domains: two questions."""
    seen = Prefetch("owner__domains", queryset=tenants.tenants(principal), to_attr="seen_domains")
    wanted = ~Q(owner__tier=Tier.TEAM) | Q(owner__in=[team.pk for team in teams])
    return layers(principal).filter(wanted).prefetch_related(seen)


def _federation(platform: Tenant, rows: Iterable[Layer]) -> Federation:
    documents = {row.owner: row.document for row in rows}
    domains = {node.slug: one for node, one in documents.items() if node.tier == Tier.DOMAIN}
    below = [
        (one, frozenset(domain.slug for domain in node.seen_domains))  # type: ignore[attr-defined]
        for node, one in documents.items()
        if node.tier == Tier.TEAM
    ]
    return Federation(documents.get(platform, document_of(None, platform)), domains, below)
