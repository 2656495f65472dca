"""Who is shown what is decided by the person and the delegation of that very call, twice: at the gateway, and on the rows."""

import time
from dataclasses import replace

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings

from gateway.wire import INVALID_PARAMS
from kernel.errors import Forbidden
from kernel.ids import new_uid_text
from portal.keys import assertion_key_path
from registry.asking import find_asking
from registry.assertions import HEADER, Assertion, Caller, sign
from registry.models import Server, Tool
from registry.probe import probe
from registry.providing import provide_all
from registry.surfaces import reject_tool, take_in_probe
from tenants.identity.agents import resume_agent, suspend_agent
from tenants.identity.delegation import revoke_delegation
from tenants.identity.sign_in_groups import add_sign_in_group, remove_sign_in_group, settle_groups
from tenants.rules import Role, Sensitivity
from tenants.services import give_role, join_domain, leave_domain, set_person_active, take_role
from tests.actors import make_delegation
from tests.internal.house import settled

BODY = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"context.search","arguments":{"query":"rota"},"_meta":'
    b'{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},'
    b'"io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"}}}}'
)
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "context.search",
}


@pytest.fixture
def server(house):
    """Returns the uid of the merged server."""
    with house.rows():
        return str(Server.objects.get(slug="context").uid)


@pytest.fixture
def own_key(house):
    return load_pem_private_key(assertion_key_path(house.config).read_bytes(), password=None)


def said_of(delegation, server, *, issued=None, **over):
    caller = {
        "sub": str(delegation.person.uid),
        "act": str(delegation.agent.uid),
        "dlg": str(delegation.uid),
        "team": delegation.team.slug,
        "cap": int(Sensitivity.CONFIDENTIAL),
        "tool": "context.search",
        **over,
    }
    return Assertion(
        call=new_uid_text(), server=server, issued=time.time() if issued is None else issued, caller=Caller(**caller)
    )


def send(house, server, assertion, body=BODY):
    """Returns what the process answers to somebody who reaches its socket without the gateway."""
    headers = {**HEADERS, **({HEADER.decode(): assertion.decode()} if assertion is not None else {})}
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(house.config.internal_socket))) as client:
        return client.post(f"http://internal/{server}", content=body, headers=headers)


def test_a_call_without_an_assertion_is_refused(house, server):
    answer = send(house, server, None)
    assert (answer.status_code, answer.json()["error"]) == (401, "assertion_invalid")


def test_the_gateway_s_own_assertion_is_believed_once(house, server, own_key):
    assertion = sign(own_key, said_of(house.delegations["ledger"], server), BODY)
    first, second = send(house, server, assertion), send(house, server, assertion)
    assert first.json()["result"]["structuredContent"]["hits"]
    assert (second.status_code, second.json()["error"]) == (401, "assertion_used")


def test_an_assertion_is_about_one_body_one_server_and_one_moment(house, server, own_key):
    delegation = house.delegations["ledger"]
    with house.rows():
        other = str(Server.objects.get(slug="context-rival").uid)
    for assertion, place, body, why in [
        (
            sign(own_key, said_of(delegation, server), BODY),
            server,
            BODY.replace(b"rota", b"roto"),
            "assertion_of_another",
        ),
        (sign(own_key, said_of(delegation, server), BODY), other, BODY, "assertion_of_another"),
        (sign(own_key, said_of(delegation, server, issued=time.time() - 16), BODY), server, BODY, "assertion_expired"),
        (sign(own_key, said_of(delegation, server, issued=time.time() + 60), BODY), server, BODY, "assertion_expired"),
    ]:
        answer = send(house, place, assertion, body)
        assert (answer.status_code, answer.json()["error"]) == (401, why)


def test_a_forged_assertion_is_refused(house, server, own_key):
    good = sign(own_key, said_of(house.delegations["ledger"], server), BODY)
    head, payload, signature = good.split(b".")
    other = sign(own_key, said_of(house.delegations["rival"], server), BODY).split(b".")
    forged = [
        sign(Ed25519PrivateKey.generate(), said_of(house.delegations["ledger"], server), BODY),
        b".".join([head, other[1], signature]),
        b".".join([head, payload, b""]),
        b".".join([b"eyJhbGciOiJub25lIn0", payload, b""]),
        b".".join([head, payload, signature[:-2] + b"AA"]),
        payload,
        b"x" * 5000,
    ]
    for assertion in forged:
        answer = send(house, server, assertion)
        assert (answer.status_code, answer.json()["error"]) == (401, "assertion_invalid")


def test_an_assertion_for_one_tool_calls_no_other(house, server, own_key):
    said = said_of(house.delegations["ledger"], server, tool="context.read")
    assert "Unknown tool" in send(house, server, sign(own_key, said, BODY)).text


def test_a_look_lists_tools_and_calls_none(house, server, own_key):
    look = Assertion(call=new_uid_text(), server=server, issued=time.time(), caller=None)
    assert "Unknown tool" in send(house, server, sign(own_key, look, BODY)).text


def test_a_probe_through_the_gateway_finds_what_was_shipped(house, monkeypatch):
    monkeypatch.setattr(settings, "HANSE", replace(house.config, url=house.url, gateway_url=house.url))
    with house.rows():
        servers = list(Server.objects.filter(transport="hanse"))
    assert len(servers) == 6
    looked = [(server, probe(server)) for server in servers]
    assert [shown.error for _, shown in looked] == [""] * 6
    with house.rows():
        for server, shown in looked:
            took = take_in_probe(server=server, shown=shown)
            assert (took.added, took.changed, took.missing) == (0, 0, 0)
        assert set(Tool.objects.values_list("state", flat=True)) == {"approved"}


def test_what_is_shipped_again_changes_nothing_and_what_is_shipped_anew_is_pinned_anew(house):
    with house.rows():
        before = list(Tool.objects.order_by("pk").values_list("pin", "version"))
        provide_all()
        assert list(Tool.objects.order_by("pk").values_list("pin", "version")) == before
        tool = Tool.objects.get(exposed_name="context.search")
        Tool.objects.filter(pk=tool.pk).update(pin="0" * 64)
        provide_all()
        again = Tool.objects.get(pk=tool.pk)
        assert (again.pin, again.version) == (tool.pin, tool.version + 1)
        assert again.history.count() == tool.history.count()
        assert again.history.first().history_change_reason == "as shipped"


def test_two_halves_of_two_teams_are_no_caller(house, server):
    ours, theirs = house.delegations["ledger"], house.delegations["rival"]
    with house.rows():
        find_asking(said_of(ours, server))
        for over in (
            {"team": "rival"},
            {"sub": str(theirs.person.uid)},
            {"act": str(theirs.agent.uid)},
            {"dlg": str(theirs.uid)},
            {"dlg": new_uid_text()},
            {"tool": "context.nothing"},
        ):
            with pytest.raises(Forbidden):
                find_asking(said_of(ours, server, **over))


def test_the_ceiling_is_the_lower_of_what_the_gateway_said_and_the_rows_say(house, server):
    with house.rows():
        assert find_asking(said_of(house.delegations["low"], server)).ceiling == Sensitivity.INTERNAL
        said = said_of(house.delegations["ledger"], server, cap=int(Sensitivity.PUBLIC))
        assert find_asking(said).ceiling == Sensitivity.PUBLIC


def test_a_delegation_without_the_group_does_not_know_the_tools(house, events):
    assert house.refused("elsewhere", "context.search", query="rota").code == INVALID_PARAMS
    (denied,) = events()
    assert denied["leaf"]["reasons"] == ["delegation.tool_not_granted"]


def test_a_server_of_a_sibling_does_not_exist(house, events):
    refused = house.refused("rival", "context.search", path="rival/context-ledger", query="rota")
    assert (refused.code, str(refused)) == (INVALID_PARAMS, "Unknown tool: context.search")
    assert "tool.out_of_reach" in events()[-1]["leaf"]["reasons"]


@pytest.fixture
def spare(house):
    """Returns a delegation that a test may end, known to the gateway; it asks under the name `spare`."""
    with house.rows():
        made = make_delegation(house.cast.lead, house.cast.agent, "context", "context-payments")
    house.delegations["spare"] = made
    with settled(lambda: not house.call("spare", "context.search", query="rota").is_error):
        pass
    return made


def refuses(house, server, delegation):
    """Tells whether the rows themselves refuse, whatever a gateway may still believe."""
    try:
        find_asking(said_of(delegation, server))
    except Forbidden:
        return True
    return False


def test_what_was_revoked_in_between_is_refused_on_the_rows(house, server, spare, own_key):
    assertion = sign(own_key, said_of(spare, server), BODY)
    with house.rows():
        revoke_delegation(actor=house.cast.lead, delegation=spare, reason="enough")
    answer = send(house, server, assertion).json()["result"]
    assert answer["isError"]
    assert answer["content"][0]["text"] == "This call is not allowed any more."


def test_whoever_loses_what_a_call_stands_on_is_refused(house, server, spare):
    cast = house.cast
    with house.rows():
        assert not refuses(house, server, spare)
        take_role(actor=cast.admin, person=cast.lead.person, tenant=cast.team, role=Role.TEAM_LEAD)
        assert refuses(house, server, spare)
        give_role(actor=cast.admin, person=cast.lead.person, tenant=cast.team, role=Role.TEAM_LEAD)
        set_person_active(actor=cast.admin, person=cast.lead.person, active=False)
        assert refuses(house, server, spare)
        set_person_active(actor=cast.admin, person=cast.lead.person, active=True)
        suspend_agent(actor=cast.lead, agent=cast.agent, reason="odd")
        assert refuses(house, server, spare)
        resume_agent(actor=cast.lead, agent=cast.agent)
        assert not refuses(house, server, spare)


def test_what_a_call_stands_on_may_come_and_go_by_group(house, server, spare):
    cast = house.cast
    with house.rows():
        rule = add_sign_in_group(actor=cast.admin, tenant=cast.team, name="crew", role=Role.TEAM_LEAD)
        settle_groups(person=cast.lead.person, groups={"crew"})
        take_role(actor=cast.admin, person=cast.lead.person, tenant=cast.team, role=Role.TEAM_LEAD)
        assert not refuses(house, server, spare)
        settle_groups(person=cast.lead.person, groups=())
        assert refuses(house, server, spare)
        settle_groups(person=cast.lead.person, groups={"crew"})
        assert not refuses(house, server, spare)
        remove_sign_in_group(actor=cast.admin, rule=rule)
        assert refuses(house, server, spare)
        give_role(actor=cast.admin, person=cast.lead.person, tenant=cast.team, role=Role.TEAM_LEAD)
        assert not refuses(house, server, spare)


def test_a_team_that_left_a_domain_finds_nothing_of_it(house, server, spare):
    cast = house.cast
    with house.rows():
        assert cast.domain.pk in find_asking(said_of(spare, server)).owners
        leave_domain(actor=cast.steward, team=cast.team, domain=cast.domain)
        assert cast.domain.pk not in find_asking(said_of(spare, server)).owners
        join_domain(actor=cast.steward, team=cast.team, domain=cast.domain)


def test_what_is_shown_never_reaches_beyond_the_team_of_the_call(house, server):
    with house.rows():
        everything = make_delegation(house.cast.outsider, house.cast.rival_agent, "context")
        give_role(actor=house.cast.admin, person=house.cast.outsider.person, tenant=house.cast.team, role=Role.MEMBER)
        asking = find_asking(said_of(everything, server))
        assert house.cast.team.pk not in asking.owners
        assert asking.viewer.access.visible == asking.owners
        take_role(actor=house.cast.admin, person=house.cast.outsider.person, tenant=house.cast.team, role=Role.MEMBER)


def test_what_somebody_rejected_stays_rejected_when_it_is_shipped_again(house, server, spare):
    with house.rows():
        tool = Tool.objects.get(server__uid=server, name="context.remember")
        rejected = reject_tool(actor=house.cast.admin, tool=tool, reason="not here")
        provide_all()
        rejected.refresh_from_db()
        assert rejected.state == Tool.State.REJECTED
        Tool.objects.filter(pk=tool.pk).update(state=Tool.State.APPROVED)
        tool.groups.add(tool.server.group)
