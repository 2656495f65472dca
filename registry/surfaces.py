"""Writes to tools: what a probe saw, and what a person approves. An agent sees only what was approved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from audit.services import record
from kernel import clock
from kernel.errors import Conflict, Invalid
from registry import rules, verbs
from registry.models import Probe, Server, Tool, ToolGroup
from tenants import authority
from tenants.principals import Principal
from tenants.rules import Effect, Sensitivity
from tenants.services import require_reason
from tenants.versions import check_version, lock

KEPT_PROBES: Final = 50
MAX_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server showed when it was probed, or why it did not."""

    ok: bool
    protocol: str = ""
    tools: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    duration_ms: int = 0
    ping: bool | None = None
    bare: bool | None = None


@transaction.atomic
def take_in_probe(*, server: Server, shown: Shown) -> Probe:
    """Returns the probe's record, after the tools' states were set by what the server showed.

    A tool whose definition differs from its pin leaves every surface in this very transaction; so does one that
    vanished. Coming back unchanged, it is approved as before: the pin is the same. What a person rejected stays so.
    """
    looked_at = (server.url, server.command)
    server = lock(server)
    if (server.url, server.command) != looked_at:
        shown = Shown(ok=False, error="Its target was changed while it was looked at.", duration_ms=shown.duration_ms)
    # What is behind a wrapped API's tools is its document: that it answers says nothing about them.
    looks = shown.ok and not server.is_wrapped
    listed = [rules.shown_definition(tool) for tool in shown.tools] if looks else []
    counts = compare(server, listed) if looks else {"added": 0, "changed": 0, "missing": 0}
    present = clock.now()
    server.probed_at, server.probe_ok = present, shown.ok
    if shown.ok:
        server.protocol = "" if server.is_wrapped else shown.protocol
    if any(counts.values()):
        server.tools_changed_at = present
        record(
            scope=server.owner_id, verb=verbs.SERVER_PROBED, person=None, object=f"server:{server.slug}", facts=counts
        )
    server.save_without_historical_record(  # type: ignore[attr-defined]
        update_fields=["probed_at", "probe_ok", "protocol", "tools_changed_at"]
    )
    probe = Probe.objects.create(
        server=server,
        owner=server.owner,
        at=present,
        ok=shown.ok,
        protocol=shown.protocol,
        tools=Tool.objects.filter(server=server, seen__isnull=False).count() if server.is_wrapped else len(shown.tools),
        error=shown.error[:300],
        duration_ms=shown.duration_ms,
        report=_report(shown),
        **counts,
    )
    old = Probe.objects.filter(server=server).order_by("-at").values_list("pk", flat=True)[KEPT_PROBES:]
    Probe.objects.filter(pk__in=list(old)).delete()
    return probe


@transaction.atomic
def approve_tool(
    *,
    actor: Principal,
    tool: Tool,
    seen_pin: str,
    effect: Effect,
    sensitivity: Sensitivity,
    expected_version: int | None = None,
) -> Tool:
    """Returns the tool approved with exactly the definition that the approver was shown, named by its pin."""
    authority.require_keeper(actor, tool.owner, "approve tools")
    tool = lock(tool)
    check_version(tool, expected_version)
    if tool.seen is None or tool.seen_pin != seen_pin:
        raise Conflict("The server shows another definition by now. Look at it again.", seen_pin=tool.seen_pin)
    if tool.faults:
        raise Invalid("This tool cannot be listed.", errors={"definition": list(tool.faults)})
    tool.definition, tool.pin, tool.state = tool.seen, tool.seen_pin, Tool.State.APPROVED
    tool.title, tool.description = _described(tool.seen)
    tool.effect, tool.sensitivity = effect, sensitivity
    tool.approved_by, tool.approved_at = actor.person, clock.now()
    _save(tool, actor, "approved")
    ToolGroup.objects.get(server=tool.server_id).tools.add(tool)
    _record(actor, tool, verbs.TOOL_APPROVED, pin=tool.pin, effect=int(effect), sensitivity=int(sensitivity))
    return tool


@transaction.atomic
def reject_tool(*, actor: Principal, tool: Tool, reason: str, expected_version: int | None = None) -> Tool:
    """Returns the tool rejected: hidden until somebody approves it."""
    authority.require_keeper(actor, tool.owner, "reject tools")
    require_reason(reason)
    tool = lock(tool)
    check_version(tool, expected_version)
    tool.state = Tool.State.REJECTED
    _save(tool, actor, reason)
    ToolGroup.objects.get(server=tool.server_id).tools.remove(tool)
    _record(actor, tool, verbs.TOOL_REJECTED, reason=reason)
    return tool


@transaction.atomic
def classify_tool(
    *,
    actor: Principal,
    tool: Tool,
    effect: Effect,
    sensitivity: Sensitivity,
    expected_version: int | None = None,
) -> Tool:
    """Returns the tool with another effect or sensitivity, which holds at the next call."""
    authority.require_keeper(actor, tool.owner, "classify tools")
    tool = lock(tool)
    check_version(tool, expected_version)
    tool.effect, tool.sensitivity = effect, sensitivity
    _save(tool, actor, "classified")
    _record(actor, tool, verbs.TOOL_CLASSIFIED, effect=int(effect), sensitivity=int(sensitivity))
    return tool


def compare(server: Server, tools: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Returns how many tools are new, changed and gone, after their states were set by what a locked server has now.

    For who writes to servers; everybody else approves what this found.
    """
    counts = {"added": 0, "changed": 0, "missing": 0}
    known = {tool.name: tool for tool in Tool.objects.select_for_update().filter(server=server)}
    taken = {tool.exposed_name for tool in known.values()}
    listed = _acceptable(tools)
    for name, definition in listed.items():
        if (tool := known.get(name)) is None:
            counts["added"] += _add(server, name, definition, taken)
        elif _see(tool, definition):
            counts["changed"] += 1
    for name, tool in known.items():
        if name not in listed and tool.seen is not None:
            counts["missing"] += 1
            # A rejection outlives the tool's absence: a server that hides a tool for once must not undo it.
            tool.state = tool.state if tool.state == Tool.State.REJECTED else Tool.State.MISSING
            tool.seen, tool.seen_pin = None, ""
            _save(tool, None, "vanished")
    return counts


def _acceptable(tools: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns definitions by name. One tool that cannot be stored is left out; it never takes the others with it."""
    listed: dict[str, dict[str, Any]] = {}
    for tool in list(tools)[: rules.MAX_TOOLS]:
        name = tool.get("name")
        if isinstance(name, str) and 0 < len(name) <= MAX_NAME and name not in listed and rules.is_storable(tool):
            listed[name] = rules.pinned_definition(tool)
    return listed


def _report(shown: Shown) -> dict[str, Any]:
    """Returns what the tools' rows do not say: repeated names, what was left out, and how the server answered."""
    names = Counter(name for tool in shown.tools if isinstance(name := tool.get("name"), str))
    repeated = sorted(name[:MAX_NAME] for name, times in names.items() if times > 1)[:20]
    left_out = len(shown.tools) - len(_acceptable(shown.tools)) - sum(names.values()) + len(names)
    said = {"ping": shown.ping, "bare": shown.bare, "repeated": repeated, "left_out": max(0, left_out)}
    return {name: value for name, value in said.items() if value is not None}


def _add(server: Server, name: str, definition: dict[str, Any], taken: set[str]) -> bool:
    """Keeps a new tool. Returns False for one that poses under the exposed name of another: it is left out."""
    exposed = rules.exposed_name(server.slug, name)
    if exposed in taken:
        return False
    taken.add(exposed)
    title, description = _described(definition)
    tool = Tool(
        server=server,
        owner=server.owner,
        name=name,
        exposed_name=exposed,
        title=title,
        description=description,
        effect=rules.claimed_effect(definition.get("annotations")),
    )
    _show(tool, definition)
    _save(tool, None, "first seen")
    return True


def _see(tool: Tool, definition: dict[str, Any]) -> bool:
    """Records what a known tool looks like now. Returns whether its state or definition changed."""
    before = (tool.state, tool.seen_pin)
    _show(tool, definition)
    if tool.pin and tool.seen_pin == tool.pin and tool.state in {Tool.State.CHANGED, Tool.State.MISSING}:
        tool.state = Tool.State.APPROVED
    elif tool.state == Tool.State.APPROVED and tool.seen_pin != tool.pin:
        tool.state = Tool.State.CHANGED
    elif tool.state == Tool.State.MISSING:
        tool.state = Tool.State.CHANGED if tool.pin else Tool.State.NEW
    if (tool.state, tool.seen_pin) == before:
        return False
    _save(tool, None, "seen changed")
    return True


def _show(tool: Tool, definition: dict[str, Any]) -> None:
    tool.seen, tool.seen_pin = definition, rules.pin_of(definition)
    tool.faults = rules.faults_of(definition)[:10]
    tool.warnings = [warning[:400] for warning in rules.warnings_of(definition)[:20]]


def _described(definition: Mapping[str, Any]) -> tuple[str, str]:
    annotations = definition.get("annotations")
    hinted = annotations.get("title") if isinstance(annotations, Mapping) else None
    title, description = definition.get("title") or hinted, definition.get("description")
    return (
        title[:200] if isinstance(title, str) else "",
        description[: rules.MAX_DESCRIPTION] if isinstance(description, str) else "",
    )


def _save(tool: Tool, actor: Principal | None, reason: str) -> None:
    tool.version += 1
    tool._change_reason = reason[:100]  # type: ignore[attr-defined]  # noqa: SLF001
    tool._history_user = actor.person if actor else None  # type: ignore[attr-defined]  # noqa: SLF001
    tool.save()


def _record(actor: Principal, tool: Tool, verb: str, **facts: object) -> None:
    record(scope=tool.owner_id, verb=verb, person=actor.uid, object=f"tool:{tool.exposed_name}", facts=facts)
