"""One server: its tools, who can call them, its probes, its changes, its credential, and its life."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from audit import queries as audit
from kernel import clock
from kernel.errors import NotFound
from kernel.secrets import Secret
from portal import keyring
from portal.pages import asking, trails
from portal.pages.screens import principal_of, screen, show, submit
from portal.pages.wrapping import operations_tab
from registry import callers, documents, services
from registry import queries as registry
from registry.addresses import AddressPolicy
from registry.contract import Clause, errors_of
from registry.models import Server
from registry.tasks import probe_server
from tenants import authority
from tenants import queries as tenants
from tenants.principals import Principal
from tenants.rules import Effect, Sensitivity
from tenants.together import together

TABS = ("tools", "operations", "callers", "probes", "changes", "credential")
NAMES = {
    "tools": "Tools",
    "operations": "Operations",
    "callers": "Who can call",
    "probes": "Probes",
    "changes": "Changes",
    "credential": "Credential",
}


class ServerForm(forms.Form):
    """A new server."""

    owner = forms.ChoiceField(label="Owner", help_text="Who answers for it: a team, a domain or the platform.")
    name = forms.CharField(max_length=120, help_text="As people call it.")
    slug = forms.SlugField(
        label="Short name",
        max_length=48,
        help_text="In addresses and tool names: a-z, 0-9 and hyphens. It never changes.",
    )
    summary = forms.CharField(max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    url = forms.CharField(
        label="Address", max_length=2048, required=False, help_text="Of its MCP endpoint over streamable HTTP."
    )
    command = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For a stdio server instead: one word per line. Only platform admins start processes on this host.",
    )

    def __init__(self, principal: Principal, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.owners = {node.slug: node for node in tenants.tenants(principal) if authority.contributes(principal, node)}
        self.fields["owner"].choices = [(slug, node.name) for slug, node in self.owners.items()]  # type: ignore[attr-defined]


def _words(text: str) -> list[str]:
    """Returns one word per line; browsers end their lines in two characters."""
    return [line.strip() for line in text.splitlines() if line.strip()]


class ServerEditForm(forms.Form):
    """What can change of a server. Another target is another server to trust, so it has to be meant."""

    name = forms.CharField(max_length=120)
    summary = forms.CharField(max_length=400, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    url = forms.CharField(label="Address", max_length=500)
    command = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="One word per line.")
    moved = forms.BooleanField(label="Yes, change the target", required=False)
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, server: Server, data: QueryDict | None) -> None:
        target = {"url": server.url, "command": "\n".join(server.command)}
        present = {"name": server.name, "summary": server.summary, "version": server.version, **target}
        super().__init__(data, initial=present)
        self.target = (server.url, server.command)
        del self.fields["command" if server.url else "url"]
        if server.credential_set:  # type: ignore[attr-defined]
            self.fields["moved"].help_text = "A new target makes the server a draft and drops its credential."
        else:
            self.fields["moved"].help_text = "A new target makes the server a draft: it is probed and activated anew."

    def clean(self) -> dict[str, object]:
        """Returns the data; a new target without the tick beside it is refused."""
        data: dict[str, object] = super().clean() or {}
        if "command" in data:
            data["command"] = _words(str(data["command"]))
        data["is_new_target"] = (data.get("url", ""), data.get("command", [])) != self.target
        if data["is_new_target"] and not self.errors and not data["moved"]:
            self.add_error("moved", "The target is another one. Tick this if you mean it.")
        return data


class CredentialForm(forms.Form):
    """What the gateway shows to the upstream. The value is never rendered back, not even after an error."""

    kind = forms.ChoiceField(choices=[("bearer", "Bearer token"), ("header", "Header"), ("basic", "Basic")])
    header = forms.CharField(
        max_length=64, required=False, help_text="For the kind Header: its name, such as X-Api-Key."
    )
    value = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        strip=False,
        help_text="For Basic: user:password, encoded in base64.",
    )


@screen("GET", "POST")
def register(request: HttpRequest) -> HttpResponse:
    """Registers a server as a draft."""
    principal = principal_of(request)
    form = ServerForm(principal, request.POST or None, initial={"owner": request.GET.get("owner", "")})

    def act(data: dict[str, str]) -> Server:
        return services.register_server(
            actor=principal,
            owner=form.owners[data["owner"]],
            slug=data["slug"],
            name=data["name"],
            summary=data["summary"],
            url=data["url"],
            command=_words(data["command"]),
            addresses=AddressPolicy(settings.HANSE.upstream_allow),
        )

    if request.method == "POST" and (server := submit(form, act)) is not None:
        messages.success(request, f"{server.name} is registered as a draft. Probe it, approve its tools, activate it.")
        return redirect("server", server.slug)
    trail = trails.plain(("Catalog", reverse("catalog")), ("Register", ""))
    return show(request, "pages/server/new.html", {"section": "catalog", "trail": trail}, form=form)


@screen("GET", "POST")
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Changes a server; for who contributes to its owner, and a process of this host for platform admins."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    _require_editor(principal, server)
    server.credential_set = registry.credential_of(principal, server) is not None  # type: ignore[attr-defined]
    form = ServerEditForm(server, request.POST or None)

    def act(data: dict[str, Any]) -> Server:
        return services.change_server(
            actor=principal,
            server=server,
            addresses=AddressPolicy(settings.HANSE.upstream_allow),
            name=data["name"],
            summary=data["summary"],
            url=data.get("url"),
            command=data.get("command"),
            expected_version=data["version"],
        )

    if request.method == "POST" and (changed := submit(form, act)) is not None:
        done = (
            "has a new target and is a draft. Probe it again." if form.cleaned_data["is_new_target"] else "is changed."
        )
        messages.success(request, f"{changed.name} {done}")
        return redirect("server", slug)
    crumbs = trails.plain((server.name, reverse("server", args=[slug])), ("Edit", ""))
    context = {"section": "catalog", "server": server, "trail": trails.under(server.owner, *crumbs)}
    return show(request, "pages/server/edit.html", context, form=form)


def _require_editor(principal: Principal, server: Server) -> None:
    if server.transport == Server.Transport.STDIO:
        authority.require_platform_admin(principal, "change servers that run as a process of this host")
    else:
        authority.require_contributor(principal, server.owner, "change servers")


def _may_edit(principal: Principal, server: Server) -> bool:
    if server.transport == Server.Transport.INTERNAL:  # it is part of Hanse: there is nothing of it to set
        return False
    is_stdio = server.transport == Server.Transport.STDIO
    return principal.access.is_platform_admin if is_stdio else authority.contributes(principal, server.owner)


@screen("GET")
def detail(request: HttpRequest, slug: str, tab: str = "tools") -> HttpResponse:
    """Shows one tab of a server."""
    if tab not in TABS:
        raise NotFound("There is no such tab.")
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    return _render(request, server, tab, {})


ASKED: Final = {
    "quarantine": (
        "Quarantine",
        "None of its tools is served from the next call on. Activating it again brings them back.",
        "Quarantine",
    ),
    "retire": ("Retire", "It stays in the catalog and in the log, and is never served again.", "Retire for good"),
}


@screen("POST")
def activate(request: HttpRequest, slug: str) -> HttpResponse:
    """Activates a server."""
    principal = principal_of(request)
    server = services.activate_server(actor=principal, server=registry.server_by_slug(principal, slug))
    messages.success(request, f"{server.name} is active.")
    return redirect("server", slug)


@screen("GET", "POST")
def set_status(request: HttpRequest, slug: str, act: str) -> HttpResponse:
    """Asks for a reason, and quarantines or retires a server."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    require = authority.require_keeper if act == "retire" else authority.require_contributor
    require(principal, server.owner, f"{act} servers")
    service = services.retire_server if act == "retire" else services.quarantine_server
    form = asking.ReasonForm(asking.sent(request), read_by="Everybody who sees the server reads it.")
    if asking.answered(form, lambda data: service(actor=principal, server=server, reason=data["reason"])):
        messages.success(request, f"{server.name} is {'retired' if act == 'retire' else 'quarantined'}.")
        return redirect("server", slug)
    title, text, button = ASKED[act]
    here = reverse("server", args=[slug])
    question = asking.Question(
        title=f"{title} {server.name}",
        text=text,
        button=button,
        back=here,
        section="catalog",
        trail=trails.under(server.owner, *trails.plain((server.name, here), (title, ""))),
    )
    return asking.ask(request, question, form)


@screen("POST")
def probe_now(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks the worker to look at a server now."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    authority.require_contributor(principal, server.owner, "probe servers")
    transaction.on_commit(lambda: probe_server.delay(server.pk))
    messages.success(request, f"A probe of {server.name} is on its way. Its answer appears here.")
    return redirect("server_tab", slug, "probes")


@screen("POST")
def set_credential(request: HttpRequest, slug: str) -> HttpResponse:
    """Seals a credential for the gateway. It leaves this process only sealed."""
    principal = principal_of(request)
    server = registry.server_by_slug(principal, slug)
    form = CredentialForm(request.POST)

    def act(data: dict[str, str]) -> object:
        key = keyring.sealing_key()
        return services.set_credential(
            actor=principal,
            server=server,
            kind=data["kind"],
            header=data["header"],
            value=Secret(data["value"].encode()),
            public_key=key.public,
            key_id=key.key_id,
        )

    if submit(form, act) is None:
        return _render(request, server, "credential", {}, form)
    messages.success(request, "The credential is sealed. Nobody can read it again here.")
    return redirect("server_tab", slug, "credential")


@screen("POST")
def remove_credential(request: HttpRequest, slug: str) -> HttpResponse:
    """Removes the credential."""
    principal = principal_of(request)
    services.remove_credential(actor=principal, server=registry.server_by_slug(principal, slug))
    messages.success(request, "The credential is gone. Calls go upstream without one.")
    return redirect("server_tab", slug, "credential")


def _render(
    request: HttpRequest, server: Server, tab: str, extra: dict[str, object], form: forms.Form | None = None
) -> HttpResponse:
    principal = principal_of(request)
    hours = _hours()
    frame = together(
        counts=registry.tool_counts(principal, server),
        calls=audit.calls_by_hour(principal.access.visible, server.slug, hours[0]),
    )
    counts = frame["counts"][0]
    context = {
        "section": "catalog",
        "server": server,
        "tab": tab,
        "tabs": [_tab(server, name, tab, counts) for name in TABS if _has(server, name)],
        "counts": counts,
        "calls": _calls(hours, dict(frame["calls"])),
        "keeps": authority.keeps(principal, server.owner),
        "works": authority.contributes(principal, server.owner),
        "may_edit": _may_edit(principal, server),
        "trail": trails.under(server.owner, *trails.plain((server.name, ""))),
        **_CONTENTS[tab](request, principal, server),
        **extra,
    }
    status = 422 if form is not None else 200
    return render(request, "pages/server/page.html", context | ({"form": form} if form else {}), status=status)


def _has(server: Server, tab: str) -> bool:
    has_target = bool(server.url) and server.transport != Server.Transport.INTERNAL
    return {"credential": has_target, "operations": server.is_wrapped}.get(tab, True)


def _hours() -> list[datetime]:
    present = clock.now().replace(minute=0, second=0, microsecond=0)
    return [present - timedelta(hours=back) for back in range(23, -1, -1)]


def _calls(hours: Sequence[datetime], counts: Mapping[datetime, int]) -> list[int]:
    """Calls in each of the last 24 hours, oldest first; empty when there was none."""
    return [counts.get(hour, 0) for hour in hours] if counts else []


def _tab(server: Server, name: str, here: str, counts: dict[str, int]) -> dict[str, object]:
    url = reverse("server", args=[server.slug]) if name == "tools" else reverse("server_tab", args=[server.slug, name])
    waiting = counts.get("waiting", 0)
    count = waiting or counts.get("approved", 0) if name == "tools" else 0
    tone = "note" if waiting and name == "tools" else ""
    return {"name": NAMES[name], "url": url, "here": name == here, "count": count, "tone": tone}


def _tools(request: HttpRequest, principal: Principal, server: Server) -> dict[str, object]:
    rows = registry.tools(principal).filter(server=server)
    state = request.GET.get("state", "")
    if state == "waiting":
        rows = rows.filter(state__in=registry.WAITING)
    if words := request.GET.get("q", "").strip():
        rows = rows.filter(name__icontains=words)
    order = {"changed": 0, "new": 1, "missing": 2, "approved": 3, "rejected": 4}
    found = together(tools=rows[:500], **registry.contract_reads(principal, server))
    tools = sorted(found["tools"], key=lambda tool: (order.get(tool.state, 9), tool.name))
    levels = {"effects": list(Effect), "sensitivities": list(Sensitivity)}
    contract = _contract(registry.contract_from(server, found))
    return {"tools": tools, "state": state, "q": words, **levels, **contract}


def _contract(clauses: list[Clause]) -> dict[str, object]:
    faulty = len(errors_of(clauses))
    advised = sum(len(clause.findings) for clause in clauses) - faulty
    return {"contract": clauses, "faulty": faulty, "advised": advised}


def _callers(request: HttpRequest, principal: Principal, server: Server) -> dict[str, object]:
    return {"callers": callers.callers_of(principal, server)}


def _probes(request: HttpRequest, principal: Principal, server: Server) -> dict[str, object]:
    probes = list(registry.probes(principal, server)[:50])
    return {"probes": probes, "durations": [probe.duration_ms for probe in reversed(probes)]}


def _changes(request: HttpRequest, principal: Principal, server: Server) -> dict[str, object]:
    return {"changes": registry.changes_of(server)[:100]}


def _credential(request: HttpRequest, principal: Principal, server: Server) -> dict[str, object]:
    proposals = documents.proposals_of(principal, server) if server.is_wrapped else ()
    usable = [found for found in proposals if found.kind]
    initial = {"kind": usable[0].kind, "header": usable[0].header} if usable else None
    credential = registry.credential_of(principal, server)
    return {"credential": credential, "form": CredentialForm(initial=initial), "proposals": proposals}


_CONTENTS = {
    "tools": _tools,
    "operations": operations_tab,
    "callers": _callers,
    "probes": _probes,
    "changes": _changes,
    "credential": _credential,
}
