"""Source code: its comments and docstrings under the names of what they explain. The code itself is left where it is."""

import re
from collections.abc import Iterator
from typing import Final

from registry.context.reading.sections import Outline, Reading

_HASH: Final = frozenset({".py", ".rb", ".sh", ".tf", ".ex", ".exs", ".pl", ".r"})
_DASH: Final = frozenset({".sql", ".lua"})
_DEFINED: Final = re.compile(
    r"^\s*(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub|override|open|sealed|data"
    r"|inline|extern|virtual|const|unsafe|impl)\s+)*"
    r"(?:def|class|function|func|fn|interface|struct|enum|trait|module|type|object|resource|CREATE\s+(?:OR\s+REPLACE\s+)?"
    r"(?:TABLE|FUNCTION|VIEW))\s+[\"'`]?([A-Za-z_]\w*(?:[.:]+\w+)*)",
    re.IGNORECASE,
)
_FEWEST_WORDS: Final = 4
_BLOCK: Final = {"/*": "*/", '"""': '"""', "'''": "'''", "=begin": "=end", "--[[": "]]"}


def read_code(text: str, ending: str, title: str = "") -> Reading:
    """Returns one section for each name that has comments; a comment before a definition belongs to what it defines."""
    outline = Outline()
    lines = text.split("\n")
    for begin, end, words in _comments(lines, ending):
        if len(words.split()) < _FEWEST_WORDS or words.startswith("!"):
            continue
        name = _name_at(lines, begin, end)
        if name:
            outline.heading(1, name)
        outline.block(words, line=begin + 1)
    return outline.reading(title)


def _comments(lines: list[str], ending: str) -> Iterator[tuple[int, int, str]]:
    """Yields first line, line after the last, and words of each run of comment lines and each block comment."""
    mark = "#" if ending in _HASH else "--" if ending in _DASH else "//"
    place = 0
    while place < len(lines):
        bare = lines[place].strip()
        opening = next((opening for opening in _BLOCK if _opens(bare, opening, ending)), "")
        if opening:
            end = _end_of_block(lines, place, opening)
            yield place, end, _words(lines[place:end], opening)
        elif bare.startswith(mark):
            end = place
            while end < len(lines) and lines[end].strip().startswith(mark):
                end += 1
            yield place, end, "\n".join(line.strip().lstrip("#/-!").strip() for line in lines[place:end]).strip()
        else:
            end = place + 1
        place = end


def _opens(bare: str, opening: str, ending: str) -> bool:
    if opening in {'"""', "'''"}:
        return ending == ".py" and bare.lstrip("rRuU").startswith(opening)
    if opening == "/*":
        return ending not in _HASH and bare.startswith(opening)
    return bare.startswith(opening) and ending == {"=begin": ".rb", "--[[": ".lua"}[opening]


def _end_of_block(lines: list[str], begin: int, opening: str) -> int:
    closing = _BLOCK[opening]
    first = lines[begin].strip()
    if closing in first[first.index(opening) + len(opening) :]:
        return begin + 1
    for place in range(begin + 1, len(lines)):
        if closing in lines[place]:
            return place + 1
    return len(lines)


def _words(lines: list[str], opening: str) -> str:
    cleaned = (line.strip() for line in lines)
    bare = "\n".join(line.lstrip("*").strip() if opening == "/*" and line.startswith("*") else line for line in cleaned)
    bare = bare.lstrip("rRuU") if opening in {'"""', "'''"} else bare
    return bare.removeprefix(opening).removesuffix(_BLOCK[opening]).strip("*/ \n")


def _name_at(lines: list[str], begin: int, end: int) -> str:
    """Returns the name that is defined right after a comment or, for a docstring, right before it."""
    for line in lines[end : end + 3]:
        if match := _DEFINED.match(line):
            return match[1]
        if not line.strip().startswith(("@", "#[", "[")):
            break
    for line in reversed(lines[max(begin - 4, 0) : begin]):
        if match := _DEFINED.match(line):
            return match[1]
        if not line.strip():
            break
    return ""
