"""What can be recorded: each app names its verbs once, at start, with the label that people read."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_VERB: Final = re.compile(r"\A[a-z]+(?:[._][a-z]+)*\Z")
_labels: dict[str, str] = {"audit.erase_payload": "Erased a payload", "tools.call": "Called a tool"}
_state = {"frozen": False}

LABELS: Final[Mapping[str, str]] = MappingProxyType(_labels)


def register(namespace: str, labels: Mapping[str, str]) -> None:
    """Adds an app's verbs, `namespace.name` to label. Call it in `AppConfig.ready()`: the first use closes the registry."""
    for verb, label in labels.items():
        if not verb.startswith(namespace + ".") or not _VERB.match(verb):
            raise ValueError(f"{verb!r} is not a verb of {namespace!r}")
        if _labels.get(verb, label) != label or (_state["frozen"] and verb not in _labels):
            raise ValueError(f"{verb!r} is registered twice or too late")
        _labels[verb] = label


def require(verb: str) -> str:
    """Returns `verb` if some app has registered it. A verb that nobody knows is a programming error."""
    _state["frozen"] = True
    if verb not in _labels:
        raise LookupError(f"no app has registered the verb {verb!r}")
    return verb


def label(verb: str) -> str:
    """Returns the words for a verb; for one that this version no longer knows, the verb itself."""
    return _labels.get(verb, verb)
