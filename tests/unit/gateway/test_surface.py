"""What a caller can name does not grow the gateway's memory."""

from dataclasses import replace

from audit.records import Log
from gateway.authn import Grant
from gateway.snapshot import Registry, Snapshot, Team, Tenants
from gateway.surface import find_surface
from gateway.wire import Limits
from tenants.decisions import AgentFacts, DelegationFacts, PersonFacts

TEAM = Team(1, "ledger", frozenset({1}), Log(1, "log", 1))
PERSON = PersonFacts(1, "p", True, 3, {1: frozenset({"team_lead"})})
AGENT = AgentFacts(1, "a", True, True, 1, "operator", 0)
DELEGATION = DelegationFacts(1, "d", 1, 1, 1, frozenset({"g"}), 2, 3, 0.0, 4e9, False, 0)
GRANT = Grant("p", "a", "d", "https://hanse.example/mcp/ledger", "j", 0.0, 0.0, 4e9)


def test_made_up_server_names_are_forgotten():
    tenants = Tenants(1, {"ledger": TEAM}, {"p": PERSON}, {"a": AGENT}, {"d": DELEGATION})
    snapshot = Snapshot(tenants, Registry(1, {}, {}))
    limits = replace(Limits(), surfaces_cached=10)
    for number in range(200):
        found = find_surface(snapshot, GRANT, TEAM, f"server-{number}", limits)
        assert found is not None
        assert found.allowed == ()
    assert len(snapshot.surfaces) <= limits.surfaces_cached
