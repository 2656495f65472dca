"""Icons, badges and the two faces of every act: small pieces of markup used in rows, so they are fast."""

import re
from typing import Final

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

# Words that stand in the data, the tone they are shown in, and the icon that says it without colour.
TONES: Final[dict[str, tuple[str, str]]] = {
    "active": ("ok", "check"),
    "approved": ("ok", "check"),
    "live": ("ok", "check"),
    "ok": ("ok", "check"),
    "allow": ("ok", "check"),
    "allowed": ("ok", "check"),
    "verified": ("ok", "verified"),
    "changed": ("warn", "history"),
    "new": ("note", "plus"),
    "draft": ("", "edit"),
    "published": ("ok", "check"),
    "proposed": ("note", "clock"),
    "withdrawn": ("", "ban"),
    "deprecated": ("warn", "warning"),
    "open": ("note", "clock"),
    "accepted": ("ok", "check"),
    "declined": ("bad", "ban"),
    "overlay": ("", ""),
    "configuration": ("", ""),
    "detached": ("warn", "link"),
    "waiting": ("note", "clock"),
    "expiring": ("warn", "clock"),
    "expired": ("", "clock"),
    "pending": ("note", "clock"),
    "unknown": ("warn", "warning"),
    "quarantined": ("bad", "lock"),
    "suspended": ("bad", "lock"),
    "failing": ("bad", "warning"),
    "failed": ("bad", "warning"),
    "error": ("bad", "warning"),
    "deny": ("bad", "ban"),
    "denied": ("bad", "ban"),
    "revoked": ("bad", "ban"),
    "rejected": ("bad", "ban"),
    "missing": ("warn", "warning"),
    "retired": ("", "ban"),
    "queued": ("note", "clock"),
    "running": ("note", "refresh"),
    "paused": ("warn", "clock"),
    "done": ("ok", "check"),
    "cancelled": ("", "ban"),
    "measured": ("ok", "check"),
    "unmeasured": ("", "clock"),
    "measuring": ("note", "refresh"),
    "met": ("ok", "check"),
    "passed": ("ok", "check"),
    "unmet": ("warn", "cross"),
    "not_run": ("", "clock"),
    "read": ("", ""),
    "write": ("warn", "edit"),
    "destroy": ("bad", "warning"),
    "public": ("", ""),
    "internal": ("", ""),
    "confidential": ("note", "lock"),
    "restricted": ("bad", "lock"),
}

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EFFECTS: Final = ("read", "write", "destroy")
SENSITIVITIES: Final = ("public", "internal", "confidential", "restricted")


def icon(name: str) -> SafeString:
    """Returns one symbol of our sprite, hidden from screen readers: text beside it carries the meaning."""
    sprite = static("icons/sprite.svg")
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', sprite, name)


def badge(text: object, tone: str = "", symbol: str = "") -> SafeString:
    """Returns a small label; the tone is never the only carrier of meaning."""
    mark = icon(symbol) if symbol else ""
    return format_html('<span class="badge {}">{}{}</span>', tone, mark, text)


def state_badge(state: object) -> SafeString:
    """Returns the badge of a known state word; an unknown word is shown plainly."""
    word = str(state)
    tone, symbol = TONES.get(word, ("", ""))
    return badge(word.replace("_", " ").capitalize(), tone, symbol)


def pattern_badge(pattern: object) -> SafeString:
    """Returns the badge of what a repository may be used for."""
    word = str(pattern).replace("-", " ").capitalize()
    return badge(word, "ok", "agent") if pattern == "dark-factory" else badge(word, "", "person")


def effect_badge(effect: int) -> SafeString:
    """Returns the badge of an effect number."""
    return state_badge(EFFECTS[effect])


def sensitivity_badge(sensitivity: int) -> SafeString:
    """Returns the badge of a sensitivity number."""
    return state_badge(SENSITIVITIES[sensitivity])


def tier_mark(tier: str, name: object, url: str = "") -> SafeString:
    """Returns a tenant's name with the shape of its tier, as a link when it has a page."""
    text = format_html('<a href="{}">{}</a>', url, name) if url else name
    hint = format_html('<span class="hush">{} </span>', str(tier).capitalize())
    return format_html('<span class="tier {}">{}{}<span>{}</span></span>', tier, icon(str(tier)), hint, text)


def initials(name: str) -> str:
    """Returns one or two capitals for a face."""
    words = [word for word in name.replace("-", " ").split() if word]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def short(text: str) -> str:
    """Returns the text with each id in it cut to its last eight characters, which differ; its first ones are the time."""
    return _ID.sub(lambda found: f"…{found[0][-8:]}", text)


def subject(text: str) -> str:
    """Returns what an act was about without its kind, which the act's own name says."""
    return short(text.partition(":")[2] or text)


def person_face(name: str, url: str = "") -> SafeString:
    """Returns a person: round face and name."""
    face = format_html('<span class="face" aria-hidden="true">{}</span>', initials(name))
    return _who(face, name, url)


def agent_face(name: str, url: str = "") -> SafeString:
    """Returns an agent: square face and name, so that the two kinds of principal are never mistaken."""
    face = format_html('<span class="face agent" aria-hidden="true">{}</span>', icon("agent"))
    return _who(face, name, url)


def _who(face: SafeString, name: str, url: str) -> SafeString:
    text = format_html('<a href="{}">{}</a>', url, name) if url else name
    return format_html('<span class="who">{}<span>{}</span></span>', face, text)
