"""PDF: the text of each page, with its number. Nothing in the document is executed or fetched."""

import io
import re
from typing import Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from registry.context.reading.sections import Outline, Reading, Unreadable

MAX_PAGES: Final = 2_000
MAX_CHARACTERS: Final = 4_000_000
_LONGEST_HEADING: Final = 80
_NUMBERED: Final = re.compile(r"^(\d+(?:\.\d+){0,3})\.?\s+[A-Z]\S*(?:\s+\S+){0,10}$")


def read_pdf(file: io.BytesIO) -> Reading:
    """Returns the pages' paragraphs; a numbered line alone, as headings are printed, begins a section."""
    if not file.getvalue()[:1024].lstrip().startswith(b"%PDF-"):
        raise Unreadable("It is not a PDF, whatever its name says.")
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("It is encrypted: take the password off and bring it again.")
        if len(reader.pages) > MAX_PAGES:
            raise Unreadable(f"It has more than {MAX_PAGES:,} pages.")
        return _pages(reader)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        raise Unreadable(
            f"It is damaged or cut off: {str(error).splitlines()[0][:120] if str(error) else 'no page is whole'}."
        ) from error


def _pages(reader: PdfReader) -> Reading:
    outline = Outline()
    size = 0
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text()
        size += len(text)
        if size > MAX_CHARACTERS:
            raise Unreadable(f"It holds more than {MAX_CHARACTERS:,} characters of text.")
        _paragraphs(outline, text, number)
    title = reader.metadata.title if reader.metadata else None
    reading = outline.reading(" ".join(str(title).split())[:200] if title else "")
    if not reading.sections:
        raise Unreadable("There is no text in it: it may be made of pictures, which are not read.")
    return reading


def _paragraphs(outline: Outline, text: str, page: int) -> None:
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        bare = line.strip()
        heading = _NUMBERED.match(bare) if len(bare) <= _LONGEST_HEADING else None
        if heading or not bare:
            outline.block("\n".join(lines), page=page)
            lines = []
        if heading:
            outline.heading(heading[1].count(".") + 1, bare)
        elif bare:
            lines.append(bare)
