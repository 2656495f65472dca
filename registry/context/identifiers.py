"""The parts of names in code, so that `createUserAccount` is found by its words and a name by its beginning."""

import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[A-Z_./:-]+[A-Za-z0-9]+)+")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_MOST: Final = 400
_STEPPED: Final = re.compile(r"\w+(?:[/_.:-]+\w+)+")
_STEP: Final = re.compile(r"[/_.:-]+")
_BEGUN: Final = re.compile(r"[A-Za-z_][\w.]{2,63}")
_CODED: Final = re.compile(r"[_\d.]|[a-z][A-Z]")
_SHORTEST: Final = 3
_MOST_BEGUN: Final = 4


def parts_of(text: str) -> str:
    """Returns the words inside the compound names of a text, each name once, in order."""
    names = dict.fromkeys(_NAME.findall(text))
    parts = [" ".join(_PART.findall(name)) for name in list(names)[:_MOST]]
    return " ".join(part for part in parts if " " in part)


def steps_in(question: str) -> str:
    """Returns the words of a question's paths and dotted names: PostgreSQL takes `aws/network/vpc` as one word."""
    return " ".join(_STEP.sub(" ", name) for name in _STEPPED.findall(question))


def beginnings_in(question: str) -> list[str]:
    """Returns the words of a question that look like a name in code: what begins with them is looked for, too."""
    names = (word for word in _BEGUN.findall(question) if _CODED.search(word))
    last = (re.split(r"[_.]", name)[-1].lower() for name in names)
    return list(dict.fromkeys(word for word in last if len(word) >= _SHORTEST))[:_MOST_BEGUN]
