"""Writes a document as people edit it: in the order of the format, texts of several lines as blocks.

The database keeps JSON without the order of its keys, so the order is given here and not remembered.
"""

from collections.abc import Mapping
from typing import Any, Final

import yaml

_ORDER: Final = {
    name: place
    for place, name in enumerate(
        (
            *("blueprint", "document", "goal", "pattern", "preconditions", "inputs", "outputs", "needs", "permissions"),
            *("budget", "escalate", "namespace", "name", "id", "kind", "type", "signal", "op", "version", "title"),
            *("summary", "owner", "license", "variant", "tags", "statement", "tool", "command", "prompt", "arguments"),
            *("guides", "cases", "when", "to", "else", "from", "until", "branches", "width", "join", "policy", "by"),
            *("question", "expires_hours", "effect", "max", "minutes", "max_turns", "max_visits", "may", "tools"),
            *("data", "writes", "response", "required", "default", "choices", "value", "sensor", "checks", "retries"),
            *("next", "on", "nodes"),
        )
    )
}
_LAST: Final = len(_ORDER)


class _Dumper(yaml.SafeDumper):
    """The safe dumper, but for long texts."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def write_yaml(document: Mapping[str, Any]) -> str:
    """Returns the document as YAML; `read_yaml` gives exactly its content back."""
    return yaml.dump(_ordered(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: (_ORDER.get(name, _LAST), name))
        return {name: _ordered(value[name]) for name in names}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
