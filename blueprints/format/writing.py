"""Writes documents as YAML that people edit and that `reading` reads back as exactly the same document."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from blueprints.format.reading import FLOAT

_WIDTH: Final = 110
_SHORT: Final = 90
_FEW: Final = 3
_BREAKS: Final = "\x85\u2028\u2029"
"""What YAML takes for the end of a line, and nobody sees."""


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


class _Writer(yaml.SafeDumper):
    """Quotes what our reader would take for a number, writes prose as a block, and what is short on one line."""

    def ignore_aliases(self, data: object) -> bool:
        """Returns true: our reader knows no aliases, so what stands in two places is written twice."""
        return True


def _text(writer: _Writer, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    if any(letter in _BREAKS for letter in value):
        style = '"'  # the only style in which they are escaped
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(writer: _Writer, value: Sequence[Any]) -> yaml.Node:
    node = writer.represent_list(value)
    node.flow_style = _is_short(node.value)
    return node


def _dict(writer: _Writer, value: Mapping[str, Any]) -> yaml.Node:
    node = writer.represent_dict(value)
    node.flow_style = len(node.value) <= _FEW and _is_short([part for pair in node.value for part in pair])
    return node


def _is_short(nodes: Sequence[yaml.Node]) -> bool:
    """Tells whether plain values, and lists of such, fit on one line together."""
    inner = [one for part in nodes for one in (part.value if isinstance(part, yaml.SequenceNode) else [part])]
    plain = all(isinstance(one, yaml.ScalarNode) and "\n" not in one.value for one in inner)
    return plain and sum(len(one.value) + 2 for one in inner) <= _SHORT


_Writer.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^(?:{FLOAT})$"), list("-0123456789"))
_Writer.add_representer(str, _text)
_Writer.add_representer(list, _list)
_Writer.add_representer(dict, _dict)


def as_yaml(document: Mapping[str, Any]) -> str:
    """Returns the document as YAML text, its keys in their own order. Comments are no part of a document."""
    dumped: str = yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return dumped


def write_blueprint(document: Mapping[str, Any]) -> str:
    """Returns a blueprint as YAML in the order of the format: the database keeps JSON without the order of its keys."""
    return as_yaml(_ordered(document))


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: (_ORDER.get(name, _LAST), name))
        return {name: _ordered(value[name]) for name in names}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
