"""Writes documents as YAML that people edit and that `reading` reads back as exactly the same document."""

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from blueprints.format.reading import FLOAT

_WIDTH: Final = 110
_BREAKS: Final = "\x85\u2028\u2029"
"""What YAML takes for the end of a line, and nobody sees."""


class _Writer(yaml.SafeDumper):
    """Quotes what our reader would take for a number, and writes long prose as a block."""


def _text(writer: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    if any(letter in _BREAKS for letter in value):
        style = '"'  # the only style in which they are escaped
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Writer.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^(?:{FLOAT})$"), list("-0123456789"))
_Writer.add_representer(str, _text)


def as_yaml(document: Mapping[str, Any]) -> str:
    """Returns the document as YAML text, its keys in their own order. Comments are no part of a document."""
    dumped: str = yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return dumped
