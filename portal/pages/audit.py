"""The audit explorer: who did what through whom, why it was let through or not, and the proof that it stands."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from audit import keys, queries, verbs
from audit.notes import NoteError
from audit.proofs import ProofError
from audit.queries import Filters, Row
from audit.records import Kind
from kernel import clock
from kernel.errors import Unavailable
from portal.pages import lists, trails
from portal.pages.lists import Facet
from portal.pages.screens import is_partial, principal_of, screen, show
from portal.parts import marks
from tenants import queries as tenants
from tenants.principals import Principal

SPANS: Final = {
    "1h": (1, "Last hour"),
    "24h": (24, "Last 24 hours"),
    "7d": (168, "Last 7 days"),
    "30d": (720, "Last 30 days"),
}
DECISIONS: Final = [("allow", "Allowed"), ("deny", "Denied")]
RESULTS: Final = [("ok", "Ok"), ("error", "Error"), ("timeout", "Timeout"), ("unknown", "Unknown")]
KINDS: Final = [("intent", "Calls"), ("denied", "Refused calls"), ("change", "Changes")]
BIGINT_DIGITS: Final = 19
ANSWERS: Final = (Kind.OUTCOME, Kind.UNKNOWN)


@screen("GET")
def explorer(request: HttpRequest) -> HttpResponse:
    """Lists calls and changes, newest first, or exports them."""
    principal = principal_of(request)
    scopes, filters = principal.access.visible, _filters(request)
    if (wanted := request.GET.get("format")) in {"csv", "json"}:
        rows = _everything(scopes, filters)
        return lists.exported(rows, _columns(*_names(rows)), name="audit", wanted=wanted)
    before = request.GET.get("after", "")
    rows = queries.calls_visible(
        scopes,
        filters,
        before=int(before) if before.isdecimal() and len(before) < BIGINT_DIGITS else None,
        limit=lists.PAGE + 1,
    )
    people, agents = _names(rows)
    context = {
        "section": "audit",
        "page": _page(request, principal, rows, people, agents),
        "people": people,
        "agents": agents,
        "labels": verbs.LABELS,
    }
    return show(request, "pages/audit/page.html", context, part="results")


@screen("GET")
def record(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Shows one record: as a page, or as the side panel's content."""
    return show(request, "pages/audit/record.html", _record(principal_of(request), uid), part="record")


@screen("POST")
def verify(request: HttpRequest, uid: UUID) -> HttpResponse:
    """Checks the record's inclusion proof against the signed checkpoint with the log's public key, now."""
    checked = _check(principal_of(request), uid)
    if is_partial(request):
        return render(request, "pages/audit/verified.html", checked)
    return render(request, "pages/audit/record.html", _record(principal_of(request), uid) | checked)


def _check(principal: Principal, uid: UUID) -> dict[str, Any]:
    found: dict[str, Any] = {"checked_at": clock.now()}
    proof = queries.inclusion_proof(uid, principal.access.visible)
    try:
        verifier = keys.load_verifier(settings.HANSE.public_dir / "audit.vkey")
        found |= {"head": proof.verify(verifier), "proof": proof}
    except (ProofError, NoteError) as error:
        found["fault"] = str(error)
    except OSError as error:
        raise Unavailable("The log's public key is not there yet.") from error
    return found


def _record(principal: Principal, uid: UUID) -> dict[str, Any]:
    detail = queries.event_detail(uid, principal.access.visible)
    event = detail.event
    delegation = tenants.delegations(principal).filter(uid=event.delegation).first() if event.delegation else None
    people = tenants.names_of_people(_uids(event.person, event.object))
    return {
        "section": "audit",
        "detail": detail,
        "event": event,
        "answer": next((other for other in detail.others if other.kind in ANSWERS), None),
        "person": people.get(str(event.person)),
        "agent": tenants.names_of_agents({str(event.agent)}).get(str(event.agent)) if event.agent else None,
        "object_person": people.get(event.object),
        "delegation": delegation,
        "payload": _readable(detail.payload.body) if detail.payload and detail.payload.body else "",
        "labels": verbs.LABELS,
        "trail": trails.plain(("Audit", "/audit/"), (marks.short(str(event.uid)), "")),
    }


@screen("GET")
def download(request: HttpRequest, uid: UUID, what: str) -> HttpResponse:
    """Returns a record's proof (C2SP text that anybody checks offline) or its leaf, byte for byte as in the tree."""
    scopes = principal_of(request).access.visible
    if what == "proof":
        text, name, kind = queries.inclusion_proof(uid, scopes).text(), f"{uid}.tlog-proof", "text/plain; charset=utf-8"
    elif what == "leaf":
        text, name, kind = queries.event_detail(uid, scopes).event.leaf, f"{uid}.leaf.json", "application/json"
    else:
        raise Http404
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type=kind, headers=headers)


def _filters(request: HttpRequest) -> Filters:
    asked = request.GET
    span = SPANS.get(asked.get("time", ""))
    return Filters(
        since=clock.now() - timedelta(hours=span[0]) if span else None,
        person=_uuid(asked.get("person", "")),
        agent=_uuid(asked.get("agent", "")),
        text=asked.get("q", "").strip()[:200],
        decision=_known(asked.get("decision", ""), DECISIONS),
        result=_known(asked.get("result", ""), RESULTS),
        kind=_known(asked.get("kind", ""), KINDS),
        stream=_uuid(asked.get("stream", "")),
        call=_uuid(asked.get("call", "")),
    )


def _page(
    request: HttpRequest, principal: Principal, rows: list[Row], people: dict[str, Any], agents: dict[str, Any]
) -> lists.Page:
    asked = request.GET
    chosen = asked.get("person", ""), asked.get("agent", "")
    shown_people = people | (tenants.names_of_people({chosen[0]}) if _uuid(chosen[0]) else {})
    shown_agents = agents | (tenants.names_of_agents({chosen[1]}) if _uuid(chosen[1]) else {})
    streams = [(str(stream.uid), stream.name) for stream in queries.streams(principal.access.visible)]
    options = (
        ("time", "Time", [(name, label) for name, (_, label) in SPANS.items()]),
        ("person", "Person", sorted((uid, who.name) for uid, who in shown_people.items())),
        ("agent", "Agent", sorted((uid, who.name) for uid, who in shown_agents.items())),
        ("decision", "Decision", DECISIONS),
        ("result", "Result", RESULTS),
        ("kind", "Kind", KINDS),
        ("stream", "Log", streams),
    )
    facets = [Facet(name, label, choices, lambda _value: lists.ANYTHING) for name, label, choices in options]
    page = lists.Page(rows=rows[: lists.PAGE], facets=lists.shown_facets(asked, facets), sorts={})
    page.q = asked.get("q", "").strip()
    page.is_filtered = any(asked.get(name) for name in ("q", "call", *(option[0] for option in options)))
    page.keep = lists.kept(asked)
    page.csv_url, page.json_url = lists.address(asked, {"format": "csv"}), lists.address(asked, {"format": "json"})
    page.first_url = lists.address(asked) if asked.get("after") else ""
    if len(rows) > lists.PAGE:
        page.next_url = lists.address(asked, {"after": str(page.rows[-1].id)})
    return page


def _everything(scopes: queries.Scopes, filters: Filters) -> list[Row]:
    rows: list[Row] = []
    while len(rows) <= lists.EXPORT:
        before = rows[-1].id if rows else None
        found = queries.calls_visible(scopes, filters, before=before, limit=queries.MAX_PAGE)
        rows += found
        if len(found) < queries.MAX_PAGE:
            break
    return rows


def _uids(*said: object) -> set[str]:
    """Returns what could be the id of a person: who acted, and whom an act was about."""
    return {str(uid) for text in said if text and (uid := _uuid(str(text)))}


def _names(rows: Sequence[Row]) -> tuple[dict[str, Any], dict[str, Any]]:
    people = tenants.names_of_people(_uids(*(said for row in rows for said in (row.person, row.object))))
    return people, tenants.names_of_agents({str(row.agent) for row in rows if row.agent})


def _columns(people: dict[str, Any], agents: dict[str, Any]) -> Sequence[lists.Column]:
    def name_of(names: dict[str, Any], uid: UUID | None, field: str) -> object:
        return getattr(names.get(str(uid)), field, uid)

    plain = ("uid", "at", "stream_name", "kind", "call", "verb", "object", "decision", "result", "ms", "index")
    return (
        *((name, lambda row, name=name: getattr(row, name)) for name in plain),
        ("person", lambda row: name_of(people, row.person, "handle")),
        ("agent", lambda row: name_of(agents, row.agent, "slug")),
        ("reasons", lambda row: " ".join(row.reasons)),
    )


def _readable(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _known(value: str, choices: Sequence[tuple[str, str]]) -> str:
    return value if value in dict(choices) else ""
