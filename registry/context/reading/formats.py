"""Which reader a document goes to, and the limits that hold before anything is read."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from registry.context.reading.code import read_code
from registry.context.reading.decoding import decode
from registry.context.reading.markdown import read_markdown
from registry.context.reading.markup import read_html
from registry.context.reading.openapi import is_openapi, read_openapi
from registry.context.reading.plain import read_plain
from registry.context.reading.sections import Reading, Unreadable, titled

VERSION: Final = 1
"""Raised when a reader gives other sections for the same bytes, so that everything is read again."""

MAX_TEXT: Final = 4_000_000
MAX_BINARY: Final = 50_000_000
MAX_LINES: Final = 100_000
MAX_CHARACTERS: Final = 4_000_000

_MARKDOWN: Final = frozenset({".md", ".markdown", ".mdx", ".mdown"})
_HTML: Final = frozenset({".html", ".htm", ".xhtml"})
_PLAIN: Final = frozenset({".txt", ".text", ".rst", ".adoc", ".asciidoc", ".org", ".log"})
_DATA: Final = frozenset({".json", ".yaml", ".yml"})
_NAMED: Final = re.compile(r"(?i)^(?:readme|license|notice|changelog|contributing|security|codeowners|authors)$")
CODE: Final = frozenset(
    {".py", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".scala", ".go", ".rs", ".rb", ".c", ".h", ".cc"}
    | {".cpp", ".hpp", ".cs", ".php", ".swift", ".sh", ".sql", ".tf", ".ex", ".exs", ".lua", ".pl", ".r", ".groovy"}
)
BINARY: Final[dict[str, str]] = {".pdf": "pdf", ".docx": "docx"}
ARCHIVE: Final = ".zip"


def format_of(path: str) -> str:
    """Returns the format that a path's ending names, empty when it is none that we read."""
    file = PurePosixPath(path)
    ending = file.suffix.lower()
    named: dict[str, frozenset[str]] = {
        "markdown": _MARKDOWN,
        "html": _HTML,
        "plain": _PLAIN,
        "code": CODE,
        "openapi": _DATA,
    }
    found = next((name for name, endings in named.items() if ending in endings), "")
    return found or BINARY.get(ending, "") or ("plain" if not ending and _NAMED.match(file.name) else "")


def read_text(path: str, content: bytes) -> Reading:
    """Returns the sections of a document that is text. Raises `Unreadable` with a sentence for whoever brought it."""
    name = format_of(path)
    if len(content) > MAX_TEXT:
        raise Unreadable(f"It has {len(content):,} bytes; a text may have {MAX_TEXT:,}.")
    text = decode(content)
    if (lines := text.count("\n")) > MAX_LINES:
        raise Unreadable(f"It has {lines:,} lines; a text may have {MAX_LINES:,}.")
    if name == "openapi":
        return titled(read_openapi(text), [PurePosixPath(path).stem])
    if name == "code":
        return read_code(text, PurePosixPath(path).suffix.lower(), PurePosixPath(path).name)
    readers: dict[str, Callable[[str], Reading]] = {"markdown": read_markdown, "html": read_html, "plain": read_plain}
    if name not in readers:
        raise Unreadable("Its format is not one that is read.")
    return titled(readers[name](text), [PurePosixPath(path).stem])


def is_wanted(path: str, content: bytes) -> bool:
    """Tells whether a file of a repository or archive is a document: by its ending, and data only when it is an API."""
    name = format_of(path)
    return bool(name) and (name != "openapi" or is_openapi(content))
