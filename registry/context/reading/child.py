"""The process that reads PDF and DOCX: bytes in, sections as JSON out, within limits that the kernel holds.

Where the kernel can (Landlock), the bytes of a stranger are looked at by a process that can read no file of ours but
the packages' and write none, so code that a document smuggled in would find neither key nor database.
"""

import io
import json
import resource
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Final

from registry import fence
from registry.context.reading.office import read_docx
from registry.context.reading.pdf import read_pdf
from registry.context.reading.sections import Reading, Unreadable

_READERS: Final[dict[str, Callable[[io.BytesIO], Reading]]] = {"pdf": read_pdf, "docx": read_docx}


def main() -> None:
    """Reads one document from standard input. A fault is an answer; a limit that is passed ends the process."""
    kind, memory, seconds, output = sys.argv[1], *map(int, sys.argv[2:5])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if fence.abi_version():
        # The libraries that are loaded are loaded; what they import later (codecs, most of all) stands here.
        fence.confine(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    sys.stdout.write(json.dumps(answer(kind, sys.stdin.buffer.read(), output)))


def answer(kind: str, content: bytes, limit: int) -> dict[str, object]:
    """Returns what is written: title and sections, or a fault."""
    try:
        reading = _READERS[kind](io.BytesIO(content))
    except Unreadable as refused:
        return {"fault": refused.message}
    except MemoryError:
        return {"fault": "It needs more memory than a document may."}
    except Exception as error:  # noqa: BLE001 - a damaged file makes its library fail in any way
        return {"fault": f"It is damaged ({type(error).__name__})."}
    sections = [
        (section.heading, [(block.text, block.line, block.page, block.is_whole) for block in section.blocks])
        for section in reading.sections
    ]
    if sum(len(block[0]) for _heading, blocks in sections for block in blocks) > limit // 8:
        return {"fault": f"It holds more than {limit // 8:,} characters of text."}
    return {"title": reading.title, "sections": sections}
