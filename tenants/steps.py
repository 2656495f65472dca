"""The two steps of an onboarding that are about tenants: the team itself, and who is in it."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q, QuerySet

from kernel.counting import counted
from kernel.errors import Invalid
from kernel.ids import is_slug
from kernel.secrets import Secret
from tenants import authority, onboarding, services
from tenants.identity.agents import register_agent
from tenants.identity.sign_in_groups import add_sign_in_group
from tenants.models import Agent, DomainMembership, Membership, Onboarding, Person, SignInGroup, Tenant
from tenants.onboarding import Field, Found, Line, Means, Outcome, Reads, State, Step, Values
from tenants.principals import Principal
from tenants.queries import tenants as visible_tenants
from tenants.rosters import AgentLine, GroupLine, PersonLine, read_agents, read_groups, read_people, slug_from
from tenants.rules import Origin, Role, Tier
from tenants.together import totals

KINDS: Final = (
    (Origin.INTERNAL.value, "New internal team"),
    (Origin.PRODUCT_LINE.value, "New product line"),
    (Origin.REGIONAL.value, "Regional office"),
    (Origin.ACQUIRED.value, "Acquired business"),
)


@dataclass(frozen=True, slots=True)
class NewPasswords:
    """Makes the first password of somebody who is added, where local accounts are wanted; `make` returns None else."""

    wanted: bool

    def make(self) -> Secret | None:
        """Returns a password that nobody has seen yet."""
        return Secret(secrets.token_urlsafe(12).encode()) if self.wanted else None


def _team_fields(actor: Principal, row: Onboarding) -> list[Field]:
    stands = row.owner is not None
    # Whether an address is known here is only for those to find out who may give it a role.
    names_others = authority.opens(actor) and not stands
    values = onboarding.held(row, "tenant").values
    kept = [slug for slug in values.get("domains", ()) if isinstance(slug, str)]
    return [
        Field(name="name", label="Name", required=True, initial=row.name, fixed=stands),
        Field(
            name="slug",
            label="Short name",
            fixed=stands,
            help="In addresses and in the log: a-z, 0-9 and hyphens. Left empty, it is made of the name.",
        ),
        Field(name="kind", label="Kind", kind="choice", choices=KINDS, required=True, initial="internal", fixed=stands),
        Field(name="region", label="Region", fixed=stands),
        Field(
            name="domains",
            label="Domains",
            kind="choices",
            choices=_domain_choices(actor, kept),
            initial=[],
            help="What the team inherits from its first day, and which checks hold for it.",
        ),
        Field(
            name="lead",
            label="Lead",
            required=True,
            initial=row.lead.email if row.lead else "",
            fixed=not names_others,
            help="Who looks after the team: a handle or an address. They go on from here.",
        ),
        Field(
            name="lead_name",
            label="Name of the lead",
            fixed=not names_others,
            help="Only for somebody who is new here: a platform admin adds them with this name.",
        ),
    ]


def _domain_choices(actor: Principal, kept: Iterable[str]) -> list[tuple[str, str]]:
    nodes = list(visible_tenants(actor).filter(tier=Tier.DOMAIN))
    brings = onboarding.brought_by(actor, nodes)
    choices = {node.slug: f"{node.name} ({node.concern}{_brought(brings[node.pk])})" for node in nodes}
    return list({**{slug: slug for slug in kept}, **choices}.items())


def _brought(things: Iterable[tuple[str, int]]) -> str:
    words = ", ".join(f"{number} {word if number == 1 else word + 's'}" for word, number in things)
    return f": {words}" if words else ""


def _team_reads(actor: Principal, row: Onboarding) -> Reads:
    return {"domains": _domain_slugs(row.owner)} if row.owner else {}


def _team_state(actor: Principal, row: Onboarding, found: Found) -> State:
    if row.owner is None:
        return State("waiting", "A platform admin confirms it.") if row.proposed_at else State("open")
    missing = set(onboarding.held(row, "tenant").values.get("domains", ())) - set(found["domains"])
    if missing:
        return State("open", f"Not in {', '.join(sorted(missing))} yet.")
    return State("done", row.owner.name)


def _team_plan(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    slug = str(values.get("slug") or slug_from(str(values.get("name", ""))))
    if row.owner is not None:
        yield Line(mark="there", kind="team", text=row.owner.name)
    else:
        yield from _new_team(values, slug)
        yield from _new_lead(values)
    yield from _links(actor, row, values)


def _new_team(values: Values, slug: str) -> Iterator[Line]:
    if not str(values.get("name", "")).strip():
        yield Line(mark="fault", kind="team", field="name", text="Say how the team is called.")
    if not is_slug(slug):
        yield Line(mark="fault", kind="team", field="slug", text="Use 1 to 48 of a-z, 0-9 and hyphens.")
    elif Tenant.objects.filter(slug=slug).exists():
        yield Line(mark="fault", kind="team", field="slug", text=f"There is a tenant “{slug}” already.")
    else:
        yield Line(mark="make", kind="team", text=f"{values.get('name')} ({slug}), with a log of its own")


def _new_lead(values: Values) -> Iterator[Line]:
    who, name = str(values.get("lead", "")).strip(), str(values.get("lead_name", "")).strip()
    known = _person(who)
    if known is not None:
        yield Line(mark="make", kind="role", text=f"team lead for {known.name}")
    elif "@" not in who:
        yield Line(mark="fault", kind="lead", field="lead", text="Name somebody: a handle, or an address.")
    elif not name:
        text = "Nobody has this address. Give the name, and a platform admin adds them."
        yield Line(mark="fault", kind="lead", field="lead_name", text=text)
    else:
        yield Line(mark="make", kind="person", text=f"{name} <{who.lower()}>")
        yield Line(mark="make", kind="role", text=f"team lead for {name}")


def _links(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    present = _domains_of(row.owner) if row.owner else set()
    nodes = {node.slug: node for node in visible_tenants(actor).filter(tier=Tier.DOMAIN)}
    brings = onboarding.brought_by(actor, list(nodes.values()))
    for slug in values.get("domains", ()):
        if slug in present:
            yield Line(mark="there", kind="domain", text=slug)
        elif slug not in nodes:
            yield Line(mark="fault", kind="domain", field="domains", text=f"There is no domain “{slug}” that you see.")
        else:
            node = nodes[slug]
            yield Line(mark="make", kind="domain", text=f"{node.name}{_brought(brings[node.pk])}")


def _team_act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    shown: list[tuple[str, str]] = []
    if row.owner is None:
        authority.require_platform_admin(actor, "create tenants")
        name = str(values["name"]).strip()
        row.owner = services.create_tenant(
            actor=actor,
            tier=Tier.TEAM,
            slug=str(values.get("slug") or slug_from(name)),
            name=name,
            region=str(values.get("region", ""))[:48],
            origin=Origin(values.get("kind") or Origin.INTERNAL),
        )
        row.lead = _person(str(values["lead"]).strip()) or _add(
            actor, str(values["lead_name"]), str(values["lead"]), means.of(NewPasswords), shown
        )
        services.give_role(actor=actor, person=row.lead, tenant=row.owner, role=Role.TEAM_LEAD)
    for node in visible_tenants(actor).filter(tier=Tier.DOMAIN, slug__in=values.get("domains", ())):
        services.join_domain(actor=actor, team=row.owner, domain=node)
    return Outcome(f"{row.owner.name} stands.", shown)


def _people_fields(actor: Principal, row: Onboarding) -> list[Field]:
    return [
        Field(
            name="people",
            label="People",
            kind="long",
            help="One a line: name, address, role. The role is lead, member or reviewer; left out, it is member.",
        ),
        Field(
            name="agents",
            label="Agents",
            kind="long",
            help="One a line: name, profile. A reader reads, a builder writes, an operator may also destroy.",
        ),
        Field(
            name="groups",
            label="Groups from sign-in",
            kind="long",
            help="One a line: group as the provider calls it, role. Who signs in with it has the role from then on.",
        ),
    ]


def _people_reads(actor: Principal, row: Onboarding) -> Reads:
    members = Membership.objects.visible_to(actor).filter(tenant=row.owner)
    agents = Agent.objects.visible_to(actor).filter(home=row.owner)
    return {"people": totals(members, n=Count("person", distinct=True)), "agents": totals(agents, n=Count("pk"))}


def _people_state(actor: Principal, row: Onboarding, found: Found) -> State:
    people, agents = found["people"][0]["n"], found["agents"][0]["n"]
    said = f"{people} with a role, {agents} {'agent' if agents == 1 else 'agents'}"
    return State("done" if people and agents else "open", said)


def _people_plan(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    assert row.owner is not None  # noqa: S101 - the frame asks for the first step before any other
    authority.require_keeper(actor, row.owner, "give roles")
    people, wrong = read_people(str(values.get("people", "")))
    agents, odd = read_agents(str(values.get("agents", "")))
    groups, strange = read_groups(str(values.get("groups", "")))
    yield from (Line(mark="fault", kind="person", field="people", text=str(fault)) for fault in wrong)
    yield from (Line(mark="fault", kind="agent", field="agents", text=str(fault)) for fault in odd)
    yield from (Line(mark="fault", kind="group", field="groups", text=str(fault)) for fault in strange)
    known = _known(people)
    for line in people:
        yield from _person_lines(actor, row.owner, line, known.get(line.address))
    homes = dict(Agent.objects.filter(slug__in=[line.slug for line in agents]).values_list("slug", "home"))
    yield from (_agent_line(row.owner, agent, homes) for agent in agents)
    yield from _group_lines(row.owner, groups)
    if not any((people, agents, groups, wrong, odd, strange)):
        yield Line(mark="there", kind="team", text="Nobody is listed, so nothing will be made.")


def _person_lines(actor: Principal, team: Tenant, line: PersonLine, known: Person | None) -> Iterator[Line]:
    role = line.role.replace("_", " ")
    if known is None and not actor.access.is_platform_admin:
        said = f"nobody has the address {line.address}. Only a platform admin adds people: they can commit this step."
        yield Line(mark="fault", kind="person", field="people", text=f"Line {line.line}: {said}")
    elif known is not None and known == actor.person:
        held = _gave(known, team, line.role)
        said = f"Line {line.line}: nobody gives themselves a role."
        yield (
            Line(mark="there", kind="role", text=f"{role} for {known.name}")
            if held
            else Line(mark="fault", kind="role", field="people", text=said)
        )
    elif known is not None and _gave(known, team, line.role):
        yield Line(mark="there", kind="role", text=f"{role} for {known.name}")
    else:
        if known is None:
            yield Line(mark="make", kind="person", text=f"{line.name} <{line.address}>")
        yield Line(mark="make", kind="role", text=f"{role} for {known.name if known else line.name}")


def _gave(person: Person, team: Tenant, role: Role) -> bool:
    """Tells whether somebody gave the role by hand already; what only a group gives may be given as well."""
    return Membership.objects.filter(person=person, tenant=team, role=role, by_hand=True).exists()


def _agent_line(team: Tenant, line: AgentLine, homes: Mapping[str, int]) -> Line:
    if homes.get(line.slug) == team.pk:
        return Line(mark="there", kind="agent", text=f"{line.name} ({line.slug})")
    if line.slug in homes:
        said = f"Line {line.line}: there is an agent “{line.slug}” already, of another team."
        return Line(mark="fault", kind="agent", field="agents", text=said)
    return Line(mark="make", kind="agent", text=f"{line.name} ({line.slug}), {line.profile}")


def _group_lines(team: Tenant, groups: Iterable[GroupLine]) -> Iterator[Line]:
    standing = set(SignInGroup.objects.filter(tenant=team).values_list("name", "role"))
    for line in groups:
        text = f"{line.role.replace('_', ' ')} for who signs in with “{line.name}”"
        yield Line(mark="there" if (line.name, line.role) in standing else "make", kind="group", text=text)


def _people_act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    team = row.owner
    assert team is not None  # noqa: S101 - the frame asks for the first step before any other
    people, _ = read_people(str(values.get("people", "")))
    agents, _ = read_agents(str(values.get("agents", "")))
    groups, _ = read_groups(str(values.get("groups", "")))
    known, shown = _known(people), list[tuple[str, str]]()
    for line in people:
        person = known.get(line.address)
        if person is None:
            person = known[line.address] = _add(actor, line.name, line.address, means.of(NewPasswords), shown)
        if person != actor.person:
            services.give_role(actor=actor, person=person, tenant=team, role=line.role)
    for group in groups:
        add_sign_in_group(actor=actor, tenant=team, name=group.name, role=group.role)
    sponsor = _sponsor(actor, team)
    for agent in agents:
        if not Agent.objects.filter(slug=agent.slug, home=team).exists():
            register_agent(
                actor=actor, slug=agent.slug, name=agent.name, home=team, sponsor=sponsor, profile=agent.profile
            )
    by_group = f" Groups from sign-in with a role: {len(groups)}." if groups else ""
    said = f"In {team.name} now: {counted(len(people), 'person')}, {counted(len(agents), 'agent')}.{by_group}"
    return Outcome(said, shown)


def _sponsor(actor: Principal, team: Tenant) -> Person:
    """Who answers for the agents: who registers them, or the team's first lead when that is a platform admin."""
    held = Membership.objects.filter(tenant=team, person__is_active=True).select_related("person")
    mine = held.filter(person=actor.person).first()
    lead = mine or held.filter(role=Role.TEAM_LEAD).order_by("pk").first() or held.order_by("pk").first()
    if lead is None:
        raise Invalid("Somebody answers for each agent.", errors={"people": [f"Nobody has a role in {team.name} yet."]})
    return lead.person


def _add(actor: Principal, name: str, address: str, passwords: NewPasswords, shown: list[tuple[str, str]]) -> Person:
    secret = passwords.make()
    text = secret.reveal().decode() if secret else None
    handle = _free_handle(slug_from(address.partition("@")[0]) or slug_from(name) or "person")
    person = services.add_person(actor=actor, email=address, name=name.strip(), handle=handle, password=text)
    if text:
        shown.append((person.email, text))
    return person


def _free_handle(wished: str) -> str:
    taken = set(Person.objects.filter(handle__startswith=wished[:44]).values_list("handle", flat=True))
    numbered = (f"{wished[:44]}-{number}" for number in range(2, len(taken) + 3))
    return wished if wished not in taken else next(name for name in numbered if name not in taken)


def _person(who: str) -> Person | None:
    return Person.objects.filter(Q(handle=who) | Q(email__iexact=who)).first() if who else None


def _known(people: Iterable[PersonLine]) -> dict[str, Person]:
    wanted = {line.address for line in people}
    found = Person.objects.filter(email__in=wanted)
    return {person.email: person for person in found}


def _domains_of(team: Tenant) -> set[str]:
    return set(_domain_slugs(team))


def _domain_slugs(team: Tenant) -> QuerySet[DomainMembership, str]:
    return DomainMembership.objects.filter(team=team).values_list("domain__slug", flat=True)


onboarding.register(
    Step(
        key="tenant",
        needs="A name, a kind, the domains it belongs to, and who leads it.",
        fields=_team_fields,
        reads=_team_reads,
        state=_team_state,
        plan=_team_plan,
        act=_team_act,
        button="Stand it up",
    )
)
onboarding.register(
    Step(
        key="people",
        needs="Who works in it, and which agents act for them.",
        fields=_people_fields,
        reads=_people_reads,
        state=_people_state,
        plan=_people_plan,
        act=_people_act,
        button="Take them in",
    )
)
