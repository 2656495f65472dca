"""Every address of the portal, as every role, on one's own team's thing and on another team's.

`RULES` is the whole truth in one place: an address that is not in it fails. Two lines of statuses, at home (`ledger`)
and abroad (`rival`), in the order of `WHO`. Who may not see a thing gets 404 whatever they ask; 403 is for who sees it
and may not do that; 302 is an act that was done, or for `nobody` the way to sign in; 422 a form that was not filled in,
which only those are shown who may send it.
"""

from dataclasses import dataclass

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from audit.models import Event
from blueprints.models import ChangeRequest, PatternRequest, Repository
from kernel import clock
from portal.rest.keys import create_key
from registry.context.models import Document, Import
from registry.models import Server, Tool
from registry.services import create_group
from registry.surfaces import take_in_probe
from registry.wrapping import propose_document, wrap_api
from tenants.identity.sign_in_groups import add_sign_in_group
from tenants.models import Delegation, Onboarding
from tenants.rules import Role
from tenants.scope import ALL as EVERY_TENANT
from tenants.scope import tenant_scope
from tests.actors import make_delegation
from tests.apis.documents import ORDERS, as_text, many
from tests.pages.estate import HOST, shown
from tests.pages.written import gap_of, memory_of

WHO = ("admin", "steward", "lead", "member", "reviewer", "outsider", "stranger", "nobody")


@dataclass(frozen=True)
class Place:
    """The things of one team that addresses name."""

    team: str
    server: str
    tool: str
    agent: str
    person: str
    delegation: str
    record: str
    group: str
    key: str
    domain: str
    namespace: str
    proposal: str
    repository: str
    request: str
    onboarding: str
    api: str
    document: str
    reading: str
    memory: str
    gap: str
    rule: str


@dataclass(frozen=True)
class Rule:
    """How an address is asked: its method, its arguments, what is sent, and the answers at home and abroad."""

    method: str
    args: tuple[str, ...]
    data: dict[str, str]
    own: str
    other: str


def get(own, other, /, *args):
    return Rule("get", args, {}, own, other)


def post(own, other, /, *args, **data):
    return Rule("post", args, data, own, other)


# fmt: off
#         admin stwrd lead  membr revwr outsd strgr nobody
OPEN   = "200 200 200 200 200 200 200 200"
ALL    = "200 200 200 200 200 200 200 302"
HOME   = "200 200 200 200 200 404 404 302"
ABROAD = "200 404 404 404 404 200 404 302"
KEEPERS = "200 403 200 403 403 404 404 302"
WORKERS = "200 403 200 200 403 404 404 302"
ADMINS = "200 403 403 403 403 403 403 302"

RULES: dict[str, Rule] = {
    "livez": get(OPEN, OPEN),
    "issuer_metadata": get(OPEN, OPEN),
    "public_keys": get(OPEN, OPEN),
    "home": get(ALL, ALL),
    "search": get(ALL, ALL),
    "styleguide": get(ALL, ALL),
    "catalog": get(ALL, ALL),
    "server_new": get(ALL, ALL),
    "server_wrap": get(ALL, ALL),
    "blueprints": get(ALL, ALL),
    "blueprint_new": get(ALL, ALL),
    "blueprint_check": post(ALL, ALL, text="blueprint: 1"),
    "forks": get(ALL, ALL),
    "reviews": get(ALL, ALL),
    "versions_waiting": get(ALL, ALL),
    # The platform's blueprint is everybody's to read; its request is, too, wherever it comes from.
    "blueprint": get(ALL, ALL, "platform", "implement-ticket-brownfield"),
    "blueprint_tab": get(ALL, ALL, "platform", "implement-ticket-brownfield", "forks"),
    "blueprint_fork": get(ALL, ALL, "platform", "implement-ticket-brownfield"),
    "change_request": get(ALL, ALL, "{proposal}"),
    "version": get(HOME, ABROAD, "{namespace}", "code-review", "1.0.0"),
    "version_new": get("200 403 200 200 403 404 404 302", ABROAD, "{namespace}", "code-review"),
    "version_reject": post(
        "302 403 302 403 302 404 404 302", "302 404 404 404 404 302 404 302", "{namespace}", "code-review", "1.0.0",
        reason="Odd."),
    "version_decide": post(
        "302 403 403 403 302 404 404 302", "302 404 404 404 404 403 404 302", "{namespace}", "code-review", "1.0.0",
        "publish"),
    "blueprint_deprecate": post(
        "302 403 403 403 403 403 403 302", "302 403 403 403 403 403 403 302", "platform",
        "implement-ticket-brownfield", reason="Old."),
    "blueprint_restore": post(
        "409 403 403 403 403 403 403 302", "409 403 403 403 403 403 403 302", "platform",
        "implement-ticket-brownfield"),
    "request_decline": post(
        "302 403 403 403 403 403 403 302", "302 403 403 403 403 403 403 302", "{proposal}", reason="Odd."),
    "request_decide": post(
        "302 403 403 403 403 403 403 302", "302 403 403 403 403 403 403 302", "{proposal}", "accept", part="minor"),
    "fork": get(HOME, ABROAD, "{team}", "our-ticket"),
    "fork_tab": get(HOME, ABROAD, "{team}", "our-ticket", "yaml"),
    "fork_edit": get("200 403 200 200 403 404 404 302", ABROAD, "{team}", "our-ticket"),
    "fork_rebase": get("200 403 200 200 403 404 404 302", ABROAD, "{team}", "our-ticket"),
    "fork_propose": get("200 403 200 200 403 404 404 302", ABROAD, "{team}", "our-ticket"),
    "fork_retire": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "our-ticket", reason="Done."),
    "fork_act": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "our-ticket", "drop",
        target="/nodes/plan/prompt"),
    "teams": get(ALL, ALL),
    "identity": get(ALL, ALL),
    "agent_new": get(ALL, ALL),
    "delegations": get(ALL, ALL),
    "delegation_new": get(ALL, ALL),
    "people": get(ALL, ALL),
    "person_new": get(ADMINS, ADMINS),
    "audit": get(ALL, ALL),
    "keys": get(ALL, ALL),
    "repositories": get(ALL, ALL),
    "repository_new": get(ALL, ALL),
    "repository": get(HOME, ABROAD, "{team}", "{repository}"),
    "repository_record": get(HOME, ABROAD, "{team}", "{repository}"),
    "repository_progress": get(
        "302 302 302 302 302 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "{repository}"),
    "repository_edit": get(WORKERS, ABROAD, "{team}", "{repository}"),
    "repository_remove": get(KEEPERS, ABROAD, "{team}", "{repository}"),
    "pattern_lower": get(WORKERS, ABROAD, "{team}", "{repository}"),
    "pattern_ask": get(WORKERS, ABROAD, "{team}", "{repository}"),
    "pattern_decide": get(KEEPERS, ABROAD, "{request}"),
    "onboardings": get(ALL, ALL),
    "onboarding": get("302 302 302 302 302 404 404 302", "302 404 404 404 404 302 404 302", "{onboarding}"),
    "onboarding_step": get(HOME, ABROAD, "{onboarding}", "server"),
    "onboarding_save": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{onboarding}", "people"),
    # Who works in the team may answer; only who keeps it takes people in.
    "onboarding_commit": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{onboarding}", "people"),
    # The team stands already, which only those hear who may go on with it.
    "onboarding_propose": post(
        "422 403 422 422 403 404 404 302", "422 404 404 404 404 422 404 302", "{onboarding}"),
    "onboarding_hand": post(
        "422 403 403 403 403 404 404 302", "422 404 404 404 404 403 404 302", "{onboarding}", person="stranger"),
    "onboarding_close": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{onboarding}", reason="Not now."),
    "onboarding_bring": post(
        "422 403 422 422 403 404 404 302", "422 404 404 404 404 422 404 302", "{onboarding}"),
    "onboarding_wrap": post(
        "422 403 422 422 403 404 404 302", "422 404 404 404 404 422 404 302", "{onboarding}"),
    # Nobody but the lead at home has delegated, and no gateway answers here.
    "onboarding_call": post(
        "409 403 503 409 403 404 404 302", "409 404 404 404 404 409 404 302", "{onboarding}"),
    "context": get(ALL, ALL),
    "inbox": get(ALL, ALL),
    "context_of": get(HOME, ABROAD, "{team}"),
    "gap_forget": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", gap="{gap}"),
    "source_new": get(WORKERS, ABROAD, "{team}"),
    "source": get(HOME, ABROAD, "{team}", "runbooks"),
    "source_edit": get(WORKERS, ABROAD, "{team}", "runbooks"),
    "source_remove": get(KEEPERS, ABROAD, "{team}", "runbooks"),
    # It is no repository, which only those are told who may have one read.
    "source_fetch": post(
        "409 403 409 409 403 404 404 302", "409 404 404 404 404 409 404 302", "{team}", "runbooks"),
    # Without a file, which only those are told who may bring one.
    "source_credential_set": post(
        "422 403 422 422 403 404 404 302", "422 404 404 404 404 422 404 302", "{team}", "runbooks",
        kind="basic", secret="swordfish-of-the-wiki"),
    "source_credential_remove": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "runbooks"),
    "repository_credential_set": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "{repository}",
        kind="basic", secret="swordfish-of-the-wiki"),
    "repository_credential_remove": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "{repository}"),
    "source_bring": post(
        "422 403 422 422 403 404 404 302", "422 404 404 404 404 422 404 302", "{team}", "runbooks"),
    "source_paste": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "runbooks",
        title="Again", text="Said."),
    "import": get("302 302 302 302 302 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "waiting", "{reading}"),
    "import_act": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "waiting", "{reading}",
        "resume"),
    "document": get(HOME, ABROAD, "{document}"),
    "document_remove": get(WORKERS, ABROAD, "{document}"),
    "memory": get(HOME, ABROAD, "{memory}"),
    # A reviewer of the team decides, or who keeps it; only who keeps it erases.
    "memory_accept": post(
        "302 403 302 403 302 404 404 302", "302 404 404 404 404 302 404 302", "{memory}", version="1",
        text="The queue drains.", sensitivity="1"),
    "memory_reject": post(
        "302 403 302 403 302 404 404 302", "302 404 404 404 404 302 404 302", "{memory}", version="1", reason="No."),
    "memory_erase": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{memory}", reason="No."),
    "adoption": get(HOME, ABROAD, "{team}"),
    "tenant_new": get(ADMINS, ADMINS),
    "tenant_edit": get(KEEPERS, ABROAD, "{team}"),
    "harness": get(HOME, ABROAD, "{team}"),
    "harness_changes": get(HOME, ABROAD, "{team}"),
    "harness_edit": get(KEEPERS, ABROAD, "{team}"),
    "harness_preview": post(
        "200 403 200 403 403 404 404 302", ABROAD, "{team}", text="harness: 1"),
    "check_add": get(KEEPERS, ABROAD, "{team}"),
    "check": get(KEEPERS, ABROAD, "{team}", "contracts"),
    "check_tighten": get(KEEPERS, ABROAD, "{team}", "platform", "tests"),
    "check_waive": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{team}", "contracts", reason="The scanner is down.", expires="{today}"),
    "check_take_back": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "remove", check="contracts"),
    "groups": get(HOME, ABROAD, "{team}"),
    "group_new": get(KEEPERS, ABROAD, "{team}"),
    "group": get(HOME, ABROAD, "{group}"),
    "group_change": get(KEEPERS, ABROAD, "{group}"),
    "server_edit": get("200 403 200 200 403 404 404 302", ABROAD, "{server}"),
    "agent_edit": get(KEEPERS, ABROAD, "{agent}"),
    "server": get(HOME, ABROAD, "{server}"),
    "server_tab": get(HOME, ABROAD, "{server}", "credential"),
    "tenant": get(HOME, ABROAD, "{team}"),
    "agent": get(HOME, ABROAD, "{agent}"),
    "delegation": get(HOME, ABROAD, "{delegation}"),
    "record": get(HOME, ABROAD, "{record}"),
    # A record that has no place in the tree yet has no proof; that it is there at all is only for who sees it.
    "record_verify": post("409 409 409 409 409 404 404 302", "409 404 404 404 404 409 404 302", "{record}"),
    "record_download": get("409 409 409 409 409 404 404 302", "409 404 404 404 404 409 404 302", "{record}", "proof"),

    "tool_approve": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{tool}", effect="0", sensitivity="1", seen_pin="{pin}"),
    "tool_classify": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{tool}", effect="0", sensitivity="1"),
    # Who keeps a domain says which teams are in it; nobody sees a team of another's domain to admit it.
    "domain_join": post(
        "302 302 403 403 403 404 404 302", "302 404 404 404 404 403 404 302", "{team}", other="{domain}"),
    "domain_leave": post(
        "302 302 403 403 403 404 404 302", "302 404 404 404 404 403 404 302", "{team}", other="{domain}"),
    "key_revoke": post(
        "404 404 302 404 404 404 404 302", "404 404 404 404 404 302 404 302", "{key}"),
    "tool_reject": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{tool}", reason="Odd."),
    "server_activate": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{server}"),
    "server_status": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{server}", "quarantine", reason="Odd."),
    "repository_measure": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", "{repository}"),
    "server_probe": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{server}"),
    "document_propose": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{api}", document="{api_document}"),
    "document_discard": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{api}"),
    "operations_preview": post(
        "200 403 200 200 403 404 404 302", "200 404 404 404 404 200 404 302", "{api}", take="GET /orders"),
    "operations_take": post(
        "302 403 302 302 403 404 404 302", "302 404 404 404 404 302 404 302", "{api}", take="GET /orders",
        proposed="1"),
    "credential_set": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{server}", kind="bearer", value="swordfish"),
    "credential_remove": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{server}"),
    "role_give": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{team}", person="stranger", role="member"),
    "role_take": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{team}", person="{person}", role="team_lead"),
    "sign_in_group_add": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302",
        "{team}", group="night-crew", role="member"),
    "sign_in_group_remove": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{team}", rule="{rule}"),
    "agent_suspend": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{agent}", reason="Odd."),
    "agent_resume": post("302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{agent}"),
    "delegation_narrow": post(
        "422 403 422 403 403 404 404 302", "422 404 404 404 404 422 404 302", "{delegation}"),
    "delegation_revoke": post(
        "302 403 302 403 403 404 404 302", "302 404 404 404 404 302 404 302", "{delegation}"),
    "delegation_mint": post(
        "403 403 200 403 403 404 404 302", "403 404 404 404 404 200 404 302", "{delegation}", minutes="5"),
    "person_active": post(
        "302 403 403 403 403 404 404 302", "302 404 404 404 404 403 404 302", "{person}", "off"),
}

# What is asked before something is done: the same addresses, only looked at. Who may not do it is not asked.
QUESTIONS: dict[str, Rule] = {
    "server_status": get(WORKERS, ABROAD, "{server}", "quarantine"),
    "agent_suspend": get(KEEPERS, ABROAD, "{agent}"),
    "delegation_narrow": get(KEEPERS, ABROAD, "{delegation}"),
    "delegation_revoke": get(KEEPERS, ABROAD, "{delegation}"),
    "delegation_mint": get(
        "403 403 200 403 403 404 404 302", "403 404 404 404 404 200 404 302", "{delegation}"),
    "role_give": get(KEEPERS, ABROAD, "{team}"),
    "version_reject": get(
        "200 403 200 403 200 404 404 302", ABROAD, "{namespace}", "code-review", "1.0.0"),
    "request_decline": get(ADMINS, ADMINS, "{proposal}"),
    "fork_retire": get(WORKERS, ABROAD, "{team}", "our-ticket"),
    "blueprint_deprecate": get(ADMINS, ADMINS, "platform", "implement-ticket-brownfield"),
    "onboarding_close": get(WORKERS, ABROAD, "{onboarding}"),
}
# fmt: on

ELSEWHERE = {"readyz": "tests/processes: it needs a broker"}


@pytest.fixture(scope="module")
def places(standing):
    """Returns the things at home and abroad; both teams have one of everything."""
    return make_places(standing[0])


def make_places(cast):
    """Returns by side what the addresses name, after it has made what is not there yet."""
    with transaction.atomic(), tenant_scope(EVERY_TENANT):
        for slug in ("accounts", "rival-crm"):
            take_in_probe(server=Server.objects.get(slug=slug), shown=shown("Again another description."))
        abroad = make_delegation(cast.outsider, cast.rival_agent, "rival-crm")
        home = Delegation.objects.get(team=cast.team, person=cast.lead.person, revoked_at=None)
        return {
            "own": _place(cast.team, "accounts", cast.agent, cast.lead, home, cast.domain),
            "other": _place(cast.rival, "rival-crm", cast.rival_agent, cast.outsider, abroad, cast.other_domain),
        }


def _place(team, server, agent, lead, delegation, domain):
    tool = Tool.objects.filter(server__slug=server, state__in=["new", "changed"]).first()
    group = create_group(actor=lead, owner=team, slug=f"{team.slug}-daily", name="Daily", tools=[])
    key, _ = create_key(actor=lead, name="nightly", scope="read", days=1)
    repository = Repository.objects.get(slug="shop" if team.slug == "ledger" else "rival-shop")
    request = PatternRequest.objects.get(repository=repository)
    record = Event.objects.filter(scope=team.pk).latest("id")
    place = Place(
        team=team.slug,
        server=server,
        tool=str(tool.uid),
        agent=agent.slug,
        person=lead.person.handle,
        delegation=str(delegation.uid),
        record=str(record.uid),
        group=group.slug,
        key=str(key.uid),
        domain=domain.slug,
        namespace=f"team.{team.slug}",
        proposal=str(ChangeRequest.objects.get(team_slug=team.slug).uid),
        repository=repository.slug,
        request=str(request.uid),
        onboarding=str(Onboarding.objects.get(owner=team).uid),
        api=_wrapped(team, lead).slug,
        document=str(Document.objects.get(owner=team, path="runbook.md").uid),
        reading=str(Import.objects.get(owner=team, source__slug="waiting").uid),
        memory=str(memory_of(team).uid),
        gap=str(gap_of(team).uid),
        rule=str(add_sign_in_group(actor=lead, tenant=team, name="crew", role=Role.MEMBER).uid),
    )
    today = clock.now().date().isoformat()
    return {**vars(place), "pin": tool.seen_pin, "today": today, "api_document": as_text(many(3))}


def _wrapped(team, lead):
    """Returns an API with another document beside its own, so that there is something to take and to discard."""
    slug = f"{team.slug}-orders"
    url = "http://127.0.0.1:9/api"
    server = wrap_api(actor=lead, owner=team, slug=slug, name="Orders", url=url, document=ORDERS, addresses=HOST)
    propose_document(actor=lead, server=server, document=ORDERS.replace("1.4.0", "1.5.0"))
    return server


def names(patterns, outer=""):
    for pattern in patterns:
        route = outer + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield pattern.name, route
        elif isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns, route)


def own_names():
    """Returns the names of all addresses but those of the API, which has its own sweep, and of allauth, which is theirs."""
    return {name for name, route in names(get_resolver().url_patterns) if not route.startswith(("api/", "accounts/"))}


def test_every_address_has_a_rule():
    assert own_names() - RULES.keys() - ELSEWHERE.keys() == set()
    assert RULES.keys() - own_names() == set()


ASKED = [*RULES.items(), *QUESTIONS.items()]


def request_of(name, rule, place):
    """Returns address and data of a rule for the things of one side."""
    url = reverse(name, args=[arg.format(**place) for arg in rule.args])
    return url, {key: value.format(**place) for key, value in rule.data.items()}


@pytest.mark.parametrize("side", ["own", "other"])
@pytest.mark.parametrize(("name", "rule"), ASKED, ids=[f"{rule.method} {name}" for name, rule in ASKED])
def test_each_role_gets_what_the_rule_says(browse, places, name, rule, side):
    url, data = request_of(name, rule, places[side])
    answers = [_ask(Client() if who == "nobody" else browse(who), rule.method, url, data) for who in WHO]
    expected = getattr(rule, side).split()
    assert dict(zip(WHO, answers, strict=True)) == dict(zip(WHO, map(int, expected), strict=True))


def _ask(client, method, url, data):
    """Asks and takes back what it did, so that every role meets the same state."""
    with transaction.atomic():
        status = getattr(client, method)(url, data).status_code
        transaction.set_rollback(True)
    return status
