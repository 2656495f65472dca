"""What can be wrong with a document: all of it, or one operation of it."""

from typing import Never

from kernel.errors import Invalid


class LeftOut(Exception):
    """One operation that cannot become a tool. The message says why; the others are not touched by it."""


def refuse(code: str, sentence: str) -> Never:
    """Raises `Invalid` for a whole document."""
    raise Invalid(sentence, errors={"document": [sentence]}, code=f"document_{code}")


def pointer(*path: object) -> str:
    """Returns the JSON pointer of a place, as it is shown to people."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def shown(text: object, most: int = 80) -> str:
    """Returns a stranger's words cut and printable, fit to stand inside a sentence of ours."""
    plain = "".join(char if char.isprintable() else "?" for char in str(text)[: most + 1])
    return plain if len(plain) <= most else plain[:most] + "…"
