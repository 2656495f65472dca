"""What changed in a tool's definition, said field by field: prose by word, structures by line."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a definition that is not what was approved."""

    field: str
    before: object
    after: object

    @property
    def kind(self) -> str:
        """Whether the field was added, removed or changed."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def markup(self) -> SafeString:
        """The difference as markup; everything that an upstream wrote is escaped."""
        if isinstance(self.before, str) and isinstance(self.after, str):
            return word_diff(self.before, self.after)
        return line_diff(_text(self.before), _text(self.after))


def changes(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> list[Change]:
    """Returns the fields that differ, in the order of the newer definition, then what is gone."""
    old, new = before or {}, after or {}
    fields = [*new, *(name for name in old if name not in new)]
    return [Change(name, old.get(name), new.get(name)) for name in fields if old.get(name) != new.get(name)]


def line_diff(before: str, after: str) -> SafeString:
    """Returns a diff by line with a little context; long equal stretches are folded."""
    lines = list(_lines(before.splitlines(), after.splitlines()))
    body = format_html_join("", '<div class="{}" data-sign="{}"><span>{}</span></div>', lines)
    return format_html('<div class="diff">{}</div>', body)


def word_diff(before: str, after: str) -> SafeString:
    """Returns the old and the new text as two lines with the changed words marked."""
    old, new = re.findall(r"\s+|\w+|[^\w\s]", before), re.findall(r"\s+|\w+|[^\w\s]", after)
    left, right = "", ""
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        was, now = escape("".join(old[a:b])), escape("".join(new[c:d]))
        left += was if tag == "equal" or not was else f"<del>{was}</del>"
        right += now if tag == "equal" or not now else f"<ins>{now}</ins>"
    return format_html(
        '<div class="diff"><div class="del" data-sign="-"><span>{}</span></div>'
        '<div class="add" data-sign="+"><span>{}</span></div></div>',
        mark_safe(left),  # noqa: S308 - every piece was escaped above
        mark_safe(right),  # noqa: S308 - every piece was escaped above
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def _lines(old: list[str], new: list[str]) -> Iterator[tuple[str, str, str]]:
    groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)
    end = 0
    for group in groups:
        yield from _folded(old[end : group[0][1]])
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (("", " ", line) for line in old[a:b])
                continue
            yield from (("del", "-", line) for line in old[a:b])
            yield from (("add", "+", line) for line in new[c:d])
        end = group[-1][2]
    yield from _folded(old[end:])


def _folded(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """A single equal line takes no more room than the words that would stand for it."""
    if len(lines) > 1:
        yield "skip-lines", "", f"{len(lines)} equal lines"
    else:
        yield from (("", " ", line) for line in lines)
