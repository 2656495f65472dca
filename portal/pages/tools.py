"""Decisions on tools: an approval names the exact definition that was looked at."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from kernel.errors import Invalid
from portal.pages.screens import principal_of, screen
from registry import queries as registry
from registry import surfaces
from registry.models import Tool
from tenants.rules import Effect, Sensitivity


@screen("POST")
def approve(request: HttpRequest, uid: str) -> HttpResponse:
    """Approves the definition whose pin the form carries; if the server shows another by now, nothing happens."""
    principal = principal_of(request)
    tool = registry.tool_by_uid(principal, uid)
    effect, sensitivity = _class_of(request, tool)
    pin = request.POST.get("seen_pin", "")
    surfaces.approve_tool(actor=principal, tool=tool, seen_pin=pin, effect=effect, sensitivity=sensitivity)
    messages.success(request, f"{tool.name} is approved and pinned.")
    return redirect("server", tool.server.slug)


@screen("POST")
def classify(request: HttpRequest, uid: str) -> HttpResponse:
    """Gives an approved tool another effect or sensitivity; its definition stays as it was approved."""
    principal = principal_of(request)
    tool = registry.tool_by_uid(principal, uid)
    effect, sensitivity = _class_of(request, tool)
    surfaces.classify_tool(actor=principal, tool=tool, effect=effect, sensitivity=sensitivity)
    messages.success(request, f"{tool.name} is classified anew, from the next call on.")
    return redirect("server", tool.server.slug)


def _class_of(request: HttpRequest, tool: Tool) -> tuple[Effect, Sensitivity]:
    """Returns what the form says; what it leaves out stays."""
    try:
        effect = Effect(int(request.POST.get("effect", tool.effect)))
        return effect, Sensitivity(int(request.POST.get("sensitivity", tool.sensitivity)))
    except ValueError as error:
        raise Invalid("Choose an effect and a sensitivity from the lists.") from error


@screen("POST")
def reject(request: HttpRequest, uid: str) -> HttpResponse:
    """Rejects a tool; it stays hidden."""
    principal = principal_of(request)
    tool = registry.tool_by_uid(principal, uid)
    surfaces.reject_tool(actor=principal, tool=tool, reason=request.POST.get("reason", ""))
    messages.success(request, f"{tool.name} is rejected and stays hidden.")
    return redirect("server", tool.server.slug)
