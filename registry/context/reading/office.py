"""DOCX: turned into HTML by its styles, then read as such."""

import io
import zipfile
from typing import Final

import mammoth

from registry.context.reading.markup import read_html
from registry.context.reading.sections import Reading, Unreadable

MAX_UNPACKED: Final = 200_000_000
MAX_PARTS: Final = 5_000


def read_docx(file: io.BytesIO) -> Reading:
    """Returns the sections by heading styles. Pictures are left out, and nothing linked is fetched."""
    _check(file)
    result = mammoth.convert_to_html(file, convert_image=mammoth.images.img_element(lambda _image: {}))
    reading = read_html(result.value)
    if not reading.sections:
        raise Unreadable("There is no text in it.")
    return reading


def _check(file: io.BytesIO) -> None:
    if file.getvalue()[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise Unreadable("It is encrypted, or in the old format .doc: save it as .docx without a password.")
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except zipfile.BadZipFile:
        raise Unreadable("It is damaged or cut off: it is not a whole .docx.") from None
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise Unreadable(f"Unpacked, it has more than {MAX_UNPACKED:,} bytes or {MAX_PARTS:,} parts.")
    if "word/document.xml" not in {part.filename for part in parts}:
        raise Unreadable("It is a zip archive and no .docx.")
    file.seek(0)
