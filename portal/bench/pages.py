"""Every list of portal and REST at the size that we claim: its statements and its time, as a member and as an admin."""

from portal.bench import machine
from portal.bench.crowd import ADMIN, MEMBER, Size, make_crowd
from portal.bench.figures import Report
from portal.bench.installation import connect, installed, server_version
from portal.bench.looking import Seen, figures_of, look, ready_to_serve

LISTS = (
    *("/", "/catalog/", "/catalog/?q=server-77", "/catalog/?sort=changed", "/catalog/?health=waiting&status=active"),
    *("/search/?q=tool-7", "/teams/", "/teams/team-0/", "/servers/server-60/", "/servers/server-60/tools/"),
    *("/servers/server-60/callers/", "/servers/server-60/probes/", "/servers/server-60/changes/"),
    *("/identity/agents/", "/identity/delegations/", "/identity/delegations/new/", "/identity/people/", "/audit/"),
    *("/api/v1/tenants", "/api/v1/people", "/api/v1/agents", "/api/v1/delegations", "/api/v1/servers"),
    *("/api/v1/servers?q=server-77", "/api/v1/servers?sort=-name&limit=200", "/api/v1/tools", "/api/v1/tools?q=tool-7"),
    *("/api/v1/servers/server-60/tools", "/api/v1/servers/server-60/probes", "/api/v1/servers/server-60/callers"),
    *("/api/v1/groups", "/api/v1/audit/events", "/api/v1/audit/streams", "/api/v1/tenants/team-0/members"),
)
SMALL = Size(teams=4, servers=80, tools_each=3, people=5, agents=5, delegations=10, events=100)


def measure(*, quick: bool = False) -> Report:
    """Returns the worst figures over all lists, and every list that misses a target. Raises when one is not served."""
    size, repeats = (SMALL, 2) if quick else (Size(), 20)
    with installed() as config:
        ready_to_serve(config)
        make_crowd(config, size)
        connect(config, "app")  # from here on grants and row level security hold, as for the portal
        seen = [one for who in (MEMBER, ADMIN) for one in look(who, LISTS, repeats)]
        described = machine.describe(config.data, postgresql=server_version(config))
    return Report(bench="pages", machine=described, figures=list(figures_of(seen)), notes=(_note(size, seen),))


def _note(size: Size, seen: list[Seen]) -> str:
    return (
        f"{size.servers:,} servers, {size.servers * size.tools_each:,} tools, {size.events:,} audit events, "
        f"{len(LISTS)} lists x 2 people = {len(seen)}; statements without those that only begin and end transactions"
    )
