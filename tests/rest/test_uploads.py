"""The reader of forms with files: it gives back what was sent, and ends in nothing but the two refusals."""

import hashlib
import io
from types import SimpleNamespace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from kernel.errors import TooLarge
from portal.rest.uploads import UploadParser
from tests.rest.forms import BOUNDARY, CONTENT_TYPE, form_of

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\')
NAMES = st.text(CHARACTERS, min_size=1, max_size=30).filter(str.strip)
FILES = st.lists(st.tuples(NAMES, st.binary(max_size=3_000)), max_size=5)


def parsed(body: bytes, content_type: str = CONTENT_TYPE):
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    return UploadParser().parse(io.BytesIO(body), content_type, {"request": SimpleNamespace(META=meta)})


@given(files=FILES)
def test_files_come_back_with_path_bytes_and_digest(files):
    assume(not any(BOUNDARY.encode() in content for _, content in files))
    found = parsed(form_of(files, whole="true"))
    assert found.pop("whole") is True
    rows = found.pop("documents", [])
    assert found == {}
    assert [(row.path, row.read()) for row in rows] == [(name.strip(), content) for name, content in files]
    assert [row.digest for row in rows] == [hashlib.sha256(content).hexdigest() for _, content in files]


@given(files=FILES, cut=st.integers(0, 4_000), junk=st.binary(max_size=40))
def test_whatever_is_sent_it_is_read_or_refused(files, cut, junk):
    body = form_of(files)
    for sent in (body[:cut] + junk + body[cut:], body[:cut], junk):
        try:
            assert isinstance(parsed(sent), dict)
        except (ParseError, TooLarge):
            continue


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=ä"]
)
def test_a_form_without_a_boundary_is_refused(kind):
    with pytest.raises(ParseError):
        parsed(form_of([("a.md", b"x")]), kind)
