"""Template tags: thin names for the parts."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html

from blueprints.forks.derivation import target
from kernel.clock import now
from kernel.counting import counted
from portal.parts import charts, diff, estate, harness, marks, moments, navigation, passages, readiness
from portal.parts.reasons import remedy_of, words_of

register = template.Library()

register.simple_tag(marks.icon)
register.simple_tag(marks.badge)
register.simple_tag(charts.sparkline)
register.simple_tag(marks.person_face)
register.simple_tag(marks.agent_face)
register.filter("initials", marks.initials)
register.filter("short", marks.short)
register.filter("subject", marks.subject)
register.filter("state", marks.state_badge)
register.filter("pattern", marks.pattern_badge)
register.filter("effect", marks.effect_badge)
register.filter("sensitivity", marks.sensitivity_badge)
register.filter("level_name", readiness.level_name)
register.filter("ago", moments.ago)
register.filter("exactly", moments.exactly)
register.filter("place", harness.place_of)
register.filter("warning", passages.mark_words)
register.filter("talking", passages.talking)
register.filter("paragraphs", passages.paragraphs)
register.filter("standing", passages.place_of)


@register.filter
def person(who: Any) -> str:
    """Returns the face and name of a person."""
    return marks.person_face(who.name) if who else marks.person_face("Nobody")


@register.filter
def agent(who: Any) -> str:
    """Returns the face and name of an agent."""
    return marks.agent_face(who.name)


@register.filter
def tenant(node: Any) -> str:
    """Returns a tenant's name with the shape of its tier, linked to its page."""
    return marks.tier_mark(node.tier, node.name, reverse("tenant", args=[node.slug]))


@register.filter
def tenant_text(node: Any) -> str:
    """Returns a tenant's name with the shape of its tier, without a link (inside links)."""
    return marks.tier_mark(node.tier, node.name)


@register.filter
def pretty(value: object) -> str:
    """Returns JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def at(mapping: Mapping[Any, Any], key: object) -> Any:
    """Returns the value under a key, or None."""
    return mapping.get(key)


@register.filter
def humanly(word: object) -> str:
    """Returns a stored word as people write it: `team_lead` as `Team lead`."""
    return str(word).replace("_", " ").replace(".", " ").capitalize()


@register.filter
def because(reason: object) -> str:
    """Returns a reason of the log in a few words: `agent.profile_effect` as `Profile too narrow`."""
    return words_of(str(reason))


@register.filter
def remedy(reason: object) -> str:
    """Returns who can change what stood against a call."""
    return remedy_of(str(reason))


@register.filter
def count_of(number: int, word: str) -> str:
    """Returns `1 tool`, `3 tools` or `2 people`."""
    return counted(number, word)


@register.simple_tag
def differences(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> list[diff.Change]:
    """Returns what changed between two definitions."""
    return diff.changes(before, after)


@register.simple_tag(takes_context=True)
def delegation_state(context: Context, row: Any) -> str:
    """Returns the badge of a delegation's state at this moment."""
    return marks.state_badge(row.state_at(now()))


@register.simple_tag(takes_context=True)
def places(context: Context) -> list[dict[str, object]]:
    """Returns the navigation; a page says with `section` where it belongs."""
    section = context.get("section", "")
    return [{"place": place, "here": place.route == section} for place in navigation.PLACES]


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """Returns the theme that the cookie asks for: `light`, `dark`, or empty for the system's."""
    request = context.get("request")  # the page for our own faults is drawn without one
    chosen = request.COOKIES.get("theme", "") if request else ""
    return chosen if chosen in {"light", "dark"} else ""


@register.simple_tag(takes_context=True)
def is_invented(context: Context) -> bool:
    """Tells whether the page shows the demo estate, so that nobody takes it for a real organisation."""
    principal = getattr(context.get("request"), "principal", None)
    return principal is not None and estate.is_invented(principal)


@register.simple_tag
def column(page: Any, name: str, css: str = "") -> str:
    """Returns a heading that sorts its list; the present order is said aloud and drawn."""
    sort = page.sorts[name]
    mark = marks.icon(sort["symbol"]) if sort["symbol"] else ""
    return format_html(
        '<th scope="col" class="{}" aria-sort="{}"><a href="{}">{}{}</a></th>',
        css,
        sort["aria"],
        sort["url"],
        sort["label"],
        mark,
    )


@register.filter
def sum_of(numbers: Iterable[int]) -> int:
    """Returns the sum."""
    return sum(numbers)


@register.filter
def grouped(number: int) -> str:
    """Returns a whole number with its thousands apart."""
    return f"{number:,}"


@register.filter
def time_to_call(row: Any) -> str:
    """Returns how long an onboarding took to its first governed call, or has taken so far: `4 min`, `3 d`."""
    return moments.duration((row.first_call_at or row.closed_at or now()) - row.started_at)


@register.filter
def comparison(operator: str) -> str:
    """Returns how a precondition compares, in words."""
    return {"eq": "is", "ne": "is not", "gte": "is at least", "lte": "is at most"}.get(operator, operator)


@register.filter
def about(operation: Mapping[str, Any]) -> str:
    """Returns the pointer of what a fork's operation is about."""
    return target(operation)[1]
