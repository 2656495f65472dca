"""Reads of servers, tools, groups and probes, each already limited to the principal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from kernel import clock
from registry.contract import Clause, Subject, examine
from registry.models import Credential, Probe, Server, Tool, ToolGroup
from tenants.models import Delegation, Tenant
from tenants.principals import Principal
from tenants.queries import delegations, ids_in_reach, one_of
from tenants.together import together, totals

WAITING = ("new", "changed")


def servers(principal: Principal) -> QuerySet[Server]:
    """Returns visible servers with owner."""
    return Server.objects.visible_to(principal).select_related("owner").order_by("slug")


def with_tool_counts(rows: QuerySet[Server]) -> QuerySet[Server]:
    """Returns the servers with `approved` and `waiting` tool counts, which are counted for the rows of a page only."""
    return rows.annotate(approved=_tool_count("approved"), waiting=_tool_count(*WAITING))


def _tool_count(*states: str) -> Coalesce:
    """A subquery beside each row that is shown, so that a limit bounds the work."""
    held = Tool.objects.filter(server=OuterRef("pk"), state__in=states).order_by().values("server")
    return Coalesce(Subquery(held.annotate(n=Count("pk")).values("n")), Value(0))


def server_by_slug(principal: Principal, slug: str) -> Server:
    """Returns one visible server; one that is not visible does not exist."""
    return one_of(servers(principal), "server", slug=slug)


def servers_in_reach(principal: Principal, team: Tenant) -> QuerySet[Server]:
    """Returns the servers whose tools agents of this team can be given: its own, its domains', the platform's."""
    return servers(principal).filter(owner__in=ids_in_reach(team))


def tools(principal: Principal) -> QuerySet[Tool]:
    """Returns visible tools with server and owner."""
    return Tool.objects.visible_to(principal).select_related("server", "owner", "approved_by").order_by("name")


def with_group_names(rows: QuerySet[Tool]) -> QuerySet[Tool]:
    """Returns the tools with the slugs of the groups that each is in as `group_names`."""
    held = ToolGroup.objects.filter(tools=OuterRef("pk")).order_by("slug").values("slug")
    return rows.annotate(group_names=ArraySubquery(held))


def tool_by_uid(principal: Principal, uid: str) -> Tool:
    """Returns one visible tool."""
    return one_of(tools(principal), "tool", uid=uid)


def tools_waiting(principal: Principal) -> QuerySet[Tool]:
    """Returns new and changed tools of tenants the principal keeps: what waits for their approval."""
    rows = tools(principal).filter(state__in=WAITING)
    if principal.access.is_platform_admin:
        return rows
    kept = [tenant for tenant, roles in principal.access.roles.items() if roles & {"team_lead", "domain_steward"}]
    return rows.filter(owner__in=kept)


def tool_groups(principal: Principal) -> QuerySet[ToolGroup]:
    """Returns visible tool groups with owner and server."""
    return ToolGroup.objects.visible_to(principal).select_related("owner", "server").order_by("slug")


def group_by_slug(principal: Principal, slug: str) -> ToolGroup:
    """Returns one visible tool group."""
    return one_of(tool_groups(principal), "tool group", slug=slug)


def groups_in_reach(principal: Principal, team: Tenant) -> QuerySet[ToolGroup]:
    """Returns the groups that a delegation in this team can name."""
    return tool_groups(principal).filter(owner__in=ids_in_reach(team))


def probes(principal: Principal, server: Server) -> QuerySet[Probe]:
    """Returns the last looks at a server, newest first."""
    return Probe.objects.visible_to(principal).filter(server=server)


def contract_of(principal: Principal, server: Server) -> list[Clause]:
    """Returns the owner's contract of a server that the principal was given, as its last probe saw it: one query."""
    return contract_from(server, together(**contract_reads(principal, server)))


def contract_reads(principal: Principal, server: Server) -> dict[str, QuerySet[Any]]:
    """Returns what `contract_of` is made of, for who reads it together with other things: see `contract_from`."""
    return {
        "last_probe": probes(principal, server).order_by("-at")[:1],
        "credentials": credentials(principal, server),
        "judged": tools(principal).filter(server=server).exclude(state__in=("missing", "rejected")),
    }


def contract_from(server: Server, found: Mapping[str, Sequence[Any]]) -> list[Clause]:
    """Returns `contract_of` out of what was read."""
    last = next(iter(found["last_probe"]), None)
    report = last.report if last else {}
    return examine(
        Subject(
            slug=server.slug,
            url=server.url,
            answered=server.probe_ok,
            error=last.error if last else "",
            protocol=server.protocol,
            has_credential=bool(found["credentials"]),
            bare=report.get("bare"),
            ping=report.get("ping"),
            repeated=report.get("repeated", ()),
            left_out=report.get("left_out", 0),
            tools=[tool.seen for tool in found["judged"] if tool.seen is not None],
        )
    )


def failing_servers(principal: Principal) -> QuerySet[Server]:
    """Returns active servers that did not answer their last probe."""
    return servers(principal).filter(status=Server.Status.ACTIVE, probe_ok=False)


def credential_of(principal: Principal, server: Server) -> Credential | None:
    """Returns what is known of a server's credential: that there is one, whose, since when. Never what it is."""
    return credentials(principal, server).first()


def credentials(principal: Principal, server: Server) -> QuerySet[Credential]:
    """Returns the one credential of a server, if there is one, as `credential_of` shows it."""
    rows = Credential.objects.visible_to(principal).filter(server=server)
    return rows.defer("sealed").select_related("created_by")


def server_history(server: Server) -> QuerySet[Model]:
    """Returns the changes of a server that the principal was already given, newest first."""
    return server.history.select_related("history_user").order_by("-history_date")  # type: ignore[no-any-return]


def tool_history(tool: Tool) -> QuerySet[Model]:
    """Returns the changes of a tool that the principal was already given, newest first."""
    return tool.history.select_related("history_user").order_by("-history_date")  # type: ignore[no-any-return]


def servers_to_probe() -> QuerySet[Server]:
    """Returns every server that is probed on schedule. Only the scheduler asks, under the system's own scope."""
    return Server.objects.exclude(status=Server.Status.RETIRED).order_by("pk")


def servers_by_status(principal: Principal) -> QuerySet[Any, Any]:
    """Returns how many visible servers are in each status, to be read together with others: see `server_counts_of`."""
    rows, failing = Server.objects.visible_to(principal).order_by(), Q(status=Server.Status.ACTIVE, probe_ok=False)
    return rows.values("status").annotate(n=Count("pk"), failing=Count("pk", filter=failing))


def server_counts_of(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Returns how many servers are in each status, and under `failing` the active ones that do not answer."""
    found = list(rows)
    return {**{row["status"]: row["n"] for row in found}, "failing": sum(row["failing"] for row in found)}


def tool_counts(principal: Principal, server: Server) -> QuerySet[Tool, dict[str, Any]]:
    """Returns how many tools of one server are `approved` and how many are `waiting`, as one row to read with others."""
    rows = Tool.objects.visible_to(principal).filter(server=server)
    waiting = Count("pk", filter=Q(state__in=WAITING))
    return totals(rows, approved=Count("pk", filter=Q(state="approved")), waiting=waiting)


def server_counts_by_owner(principal: Principal, owners: Iterable[Tenant]) -> dict[int, int]:
    """Returns how many visible active servers each of these tenants owns: one query."""
    rows = Server.objects.visible_to(principal).filter(owner__in=[owner.pk for owner in owners], status="active")
    return dict(rows.order_by().values_list("owner").annotate(n=Count("pk")))


def ids_of_waiting_servers() -> QuerySet[Tool, int]:
    """Returns the servers that have tools to decide on, as a subquery: it shows nothing by itself."""
    return Tool.objects.filter(state__in=WAITING).order_by().values_list("server", flat=True)


def delegations_reaching(principal: Principal, server: Server) -> QuerySet[Delegation]:
    """Returns visible live delegations that name a group in which this server has a tool: who might call it."""
    groups = ToolGroup.objects.filter(tools__server=server).order_by().values("slug").distinct()
    rows = delegations(principal).filter(revoked_at=None, not_before__lte=clock.now(), not_after__gt=clock.now())
    return rows.filter(tool_groups__overlap=ArraySubquery(groups))


def changes_of(server: Server) -> list[Model]:
    """Returns the changes of a server and of its tools together, newest first, at most 200. The principal sees it."""
    found = together(
        own=server.history.select_related("history_user").order_by("-history_date")[:100],
        tools=Tool.history.filter(server=server).select_related("history_user").order_by("-history_date")[:100],
    )
    return sorted([*found["own"], *found["tools"]], key=lambda row: row.history_date, reverse=True)


def groups_to_grant(principal: Principal, team: Tenant, words: str = "") -> QuerySet[ToolGroup]:
    """Returns the groups in reach that hold at least one tool, the team's own first; `words` narrows them by name."""
    held = ToolGroup.tools.through.objects.filter(toolgroup=OuterRef("pk"))
    rows = groups_in_reach(principal, team).filter(Exists(held))
    for word in words.split()[:4]:
        rows = rows.filter(Q(slug__icontains=word) | Q(name__icontains=word))
    return rows.annotate(is_own=Q(owner=team)).order_by("-is_own", "slug")
