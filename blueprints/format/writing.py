"""Writes a document as people edit it: in the order that it has, texts of several lines as blocks."""

from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """The safe dumper, but for long texts."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def write_yaml(document: Mapping[str, Any]) -> str:
    """Returns the document as YAML; `read_yaml` gives exactly it back."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
