"""The step of an onboarding that brings the first MCP server: registered, looked at, its tools approved, activated."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from kernel.errors import Invalid
from registry import queries, services
from registry.addresses import AddressPolicy
from registry.context.steps import DOCUMENTS
from registry.contract import errors_of
from registry.models import Server, Tool
from registry.sealing import Key
from registry.surfaces import approve_tool
from registry.tasks import probe_server
from tenants import onboarding
from tenants.models import Onboarding, Tenant
from tenants.onboarding import Field, Found, Line, Means, Outcome, Reads, State, Step, Values
from tenants.principals import Principal
from tenants.rosters import slug_from
from tenants.rules import Effect, Sensitivity

KINDS: Final = [("none", "None"), ("bearer", "Bearer token"), ("header", "Header"), ("basic", "Basic")]
WAITING: Final = ("new", "changed")
EFFECTS: Final = tuple(effect.name.lower() for effect in Effect)
SENSITIVITIES: Final = tuple(sensitivity.name.lower() for sensitivity in Sensitivity)


@dataclass(frozen=True, slots=True)
class ServerMeans:
    """What registering a server needs from above: which addresses are allowed, and the key to seal credentials."""

    addresses: AddressPolicy
    sealing_key: Callable[[], Key]


def server_of(actor: Principal, row: Onboarding) -> Server | None:
    """Returns the server that this step is about: the one named, or the team's first while none is named."""
    mine = _brought(actor, row)
    named = _slug(onboarding.held(row, "server").values)
    return mine.filter(slug=named).first() if named else mine.order_by("pk").first()


def _brought(actor: Principal, row: Onboarding) -> QuerySet[Server]:
    """The servers that the team has brought: its context server came with it."""
    rows = queries.servers(actor).filter(owner=row.owner)
    return rows.exclude(status="retired").exclude(transport=Server.Transport.INTERNAL)


def tools_to_decide(actor: Principal, server: Server) -> list[Tool]:
    """Returns the server's tools that wait for a decision and can be approved."""
    rows = queries.tools(actor).filter(server=server, state__in=WAITING)
    return [tool for tool in rows if tool.seen is not None and not tool.faults]


def _fields(actor: Principal, row: Onboarding) -> list[Field]:
    name_of = "In addresses and tool names: a-z, 0-9 and hyphens. Left empty, it is made of the name."
    return [
        Field(name="name", label="Name", required=True, help="As people call it."),
        Field(name="slug", label="Short name", help=name_of),
        Field(name="url", label="Address", required=True, help="Of its MCP endpoint over streamable HTTP."),
        Field(name="credential_kind", label="Credential", kind="choice", choices=KINDS, initial="none"),
        Field(name="header", label="Header", help="For the kind Header: its name, such as X-Api-Key."),
        Field(
            name="credential",
            label="Secret",
            kind="secret",
            help="Sealed for the gateway at once and never shown again. For Basic: user:password in base64.",
        ),
        Field(name="tools", label="Tools", kind="table", initial={}),
    ]


def _reads(actor: Principal, row: Onboarding) -> Reads:
    return {"brought": queries.with_tool_counts(_brought(actor, row))}


def _state(actor: Principal, row: Onboarding, found: Found) -> State:
    mine = found["brought"]
    served = [server for server in mine if server.status == "active" and server.approved]
    if served:
        return State("done", ", ".join(server.name for server in served[:3]))
    if not mine:
        return State("open")
    if mine[-1].probe_ok is None:
        return State("waiting", "A probe is on its way.")
    return State("open", "Approve its tools." if mine[-1].probe_ok else "It did not answer its probe.")


def _plan(actor: Principal, row: Onboarding, values: Values) -> Iterator[Line]:
    server = server_of(actor, row)
    if server is None or _moved(server, values):
        yield from _plan_registration(server, values)
        return
    yield Line(mark="there", kind="server", text=f"{server.name} ({server.slug})")
    if server.probe_ok is None:
        yield Line(mark="make", kind="probe", text="one more look at it")
    elif not server.probe_ok:
        yield Line(mark="make", kind="probe", text="one more look at it: it did not answer the last one")
    else:
        yield from _plan_activation(actor, server, values)


def _plan_registration(server: Server | None, values: Values) -> Iterator[Line]:
    name, url, slug = str(values.get("name", "")).strip(), str(values.get("url", "")).strip(), _slug(values)
    if not name:
        yield Line(mark="fault", kind="server", field="name", text="Say how people call it.")
    if not url:
        yield Line(mark="fault", kind="server", field="url", text="Say where its MCP endpoint is.")
    if server is None and slug and Server.objects.filter(slug=slug).exists():
        yield Line(mark="fault", kind="server", field="slug", text=f"There is a server “{slug}” already.")
    elif name and url:
        what = "moved to" if server else f"{name} ({slug}), a draft at"
        yield Line(mark="make", kind="server", text=f"{what} {url}")
        yield from _plan_look(values)


def _plan_look(values: Values) -> Iterator[Line]:
    kind = values.get("credential_kind") or "none"
    if kind != "none":
        yield Line(mark="make", kind="credential", text=f"{kind}, sealed for the gateway and this address")
    yield Line(mark="make", kind="probe", text="whether it answers, and which tools it shows")


def _plan_activation(actor: Principal, server: Server, values: Values) -> Iterator[Line]:
    for finding in errors_of(queries.contract_of(actor, server)):
        place = f"{finding.place}: " if finding.place else ""
        yield Line(mark="fault", kind="contract", text=f"{place}{finding.message} {finding.remedy}")
    waiting = {tool.name: tool for tool in tools_to_decide(actor, server)}
    chosen = [name for name in _table(values) if name in waiting]
    for name in chosen:
        row = _table(values)[name]
        if row.get("pin") != waiting[name].seen_pin:
            yield Line(mark="fault", kind="tool", field="tools", text=f"{name} looks different by now. Look again.")
        elif row.get("effect") not in EFFECTS or row.get("sensitivity") not in SENSITIVITIES:
            yield Line(mark="fault", kind="tool", field="tools", text=f"{name}: say which effect and sensitivity.")
        else:
            yield Line(mark="make", kind="approval", text=f"{name}: {row.get('effect')}, {row.get('sensitivity')}")
    approved = queries.tools(actor).filter(server=server, state="approved").count()
    if not chosen and not approved:
        yield Line(mark="fault", kind="tool", field="tools", text="Choose at least one tool.")
    if server.status == Server.Status.ACTIVE:
        yield Line(mark="there", kind="activation", text=f"{server.name} is active")
    else:
        yield Line(mark="make", kind="activation", text=f"{server.name} is served from then on")


def _act(actor: Principal, row: Onboarding, values: Values, means: Means) -> Outcome:
    team = row.owner
    assert team is not None  # noqa: S101 - the frame asks for the first step before any other
    server = server_of(actor, row)
    if server is None or _moved(server, values):
        server = _registered(actor, team, server, values, means)
        return _looked_at(server, f"{server.name} is registered as a draft and being looked at.")
    if "credential" in means.secrets:
        _seal(actor, server, values, means)
        return _looked_at(server, "The credential is sealed, and the server is looked at with it.")
    if not server.probe_ok:
        return _looked_at(server, f"{server.name} is being looked at.")
    approved = _approve(actor, server, values)
    if server.status != Server.Status.ACTIVE:
        services.activate_server(actor=actor, server=server)
    return Outcome(f"{server.name} is active, with {approved} more tools approved.")


def _registered(actor: Principal, team: Tenant, server: Server | None, values: Values, means: Means) -> Server:
    given = means.of(ServerMeans)
    name, url = str(values["name"]).strip(), str(values["url"]).strip()
    wants_key = (values.get("credential_kind") or "none") != "none"
    if wants_key and "credential" not in means.secrets:
        raise Invalid("The credential is missing.", errors={"credential": ["Give it again: it is kept nowhere."]})
    if server is None:
        server = services.register_server(
            actor=actor, owner=team, slug=_slug(values), name=name, url=url, addresses=given.addresses
        )
    else:
        server = services.change_server(actor=actor, server=server, name=name, url=url, addresses=given.addresses)
    if wants_key:
        _seal(actor, server, values, means)
    return server


def _seal(actor: Principal, server: Server, values: Values, means: Means) -> None:
    key = means.of(ServerMeans).sealing_key()
    services.set_credential(
        actor=actor,
        server=server,
        kind=str(values.get("credential_kind") or "bearer"),
        header=str(values.get("header", "")),
        value=means.secrets["credential"],
        public_key=key.public,
        key_id=key.key_id,
    )


def _looked_at(server: Server, said: str) -> Outcome:
    transaction.on_commit(lambda: probe_server.delay(server.pk))
    return Outcome(said)


def _approve(actor: Principal, server: Server, values: Values) -> int:
    waiting = {tool.name: tool for tool in tools_to_decide(actor, server)}
    chosen = [(waiting[name], cells) for name, cells in _table(values).items() if name in waiting]
    for tool, cells in chosen:
        approve_tool(
            actor=actor,
            tool=tool,
            seen_pin=str(cells.get("pin", "")),
            effect=Effect[str(cells.get("effect", "destroy")).upper()],
            sensitivity=Sensitivity[str(cells.get("sensitivity", "internal")).upper()],
        )
    return len(chosen)


def _moved(server: Server, values: Values) -> bool:
    """Tells whether the answers name another address of the very server, which is then looked at anew."""
    url = str(values.get("url", "")).strip()
    return bool(url) and _slug(values) == server.slug and url != server.url


def _slug(values: Values) -> str:
    return str(values.get("slug") or "").strip() or slug_from(str(values.get("name", "")))


def _table(values: Values) -> dict[str, dict[str, Any]]:
    return dict(values.get("tools") or {})


def _count(principal: Principal, nodes: Sequence[Tenant]) -> dict[int, int]:
    return queries.server_counts_by_owner(principal, nodes)


onboarding.register_brought("server", _count)
onboarding.register(DOCUMENTS)
onboarding.register(
    Step(
        key="server",
        needs="An MCP server over HTTP that answers, and a look at its tools.",
        fields=_fields,
        reads=_reads,
        state=_state,
        plan=_plan,
        act=_act,
        button="Go on",
    )
)
