"""Bringing documents: never many bytes in one statement, whatever is brought, and a comparison that tells what follows."""

from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.context import staging
from registry.context.comparing import compare
from registry.context.models import Document, ImportItem
from registry.context.services.imports import begin_import, cancel_import
from registry.context.working import work_on
from tenants.principals import SYSTEM
from tests.apps.context.bringing import begin, entry, read, source

pytestmark = pytest.mark.django_db

PATHS = st.sampled_from(["a.md", "b.md", "c/d.txt", "e.rst"])
TEXTS = st.sampled_from(["# One\n\nIt says one thing.\n", "# Two\n\nIt says another.\n", " "])
HELD = st.dictionaries(PATHS, TEXTS, min_size=1)


@given(sizes=st.lists(st.integers(0, 40), max_size=60))
def test_no_statement_holds_more_than_a_few_items_or_bytes(sizes):
    items = [ImportItem(path=f"{n}.md", content=b"x" * size) for n, size in enumerate(sizes)]
    with mock.patch.multiple(staging, _AT_ONCE=7, _BYTES_AT_ONCE=50):
        batches = list(staging._batches(items))
    assert [item for batch in batches for item in batch] == items
    assert all(0 < len(batch) <= 7 for batch in batches)
    assert all(len(batch) == 1 or sum(len(item.content) for item in batch) <= 50 for batch in batches)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=HELD, then=HELD, is_whole=st.booleans(), has_read=st.booleans())
def test_what_the_comparison_says_is_what_an_import_does_and_then_there_is_nothing_left(
    cast, undone, first, then, is_whole, has_read
):
    with undone():
        place = source(cast.team)
        read(place, first)
        before = dict(Document.objects.filter(source=place).values_list("path", "digest"))
        entries = [entry(path, text) for path, text in then.items()]
        said = compare(SYSTEM, place, entries, is_whole=is_whole)
        assert not said.faults
        row = begin_import(actor=SYSTEM, source=place, entries=entries, is_whole=is_whole)
        staged = dict(row.items.values_list("path", "is_removal"))
        tried = {path for path, text in first.items() if text == " " and then.get(path) == " "}
        assert {path for _, path in said.changes} == staged.keys() - tried
        assert {path for sign, path in said.changes if sign == "-"} == {path for path, gone in staged.items() if gone}
        assert {path for sign, path in said.changes if sign == "~"} == {
            path for path, gone in staged.items() if not gone and path in before
        }
        while has_read and work_on(row.pk, seconds=60):
            pass
        assert compare(SYSTEM, place, entries, is_whole=is_whole).changes == []


def test_what_was_cancelled_or_removed_is_a_change_again(cast):
    place = source(cast.team)
    entries = [entry("a.md", "# A\n\nIt is written down.\n")]
    row = begin(place, {"a.md": "# A\n\nIt is written down.\n"})
    assert compare(SYSTEM, place, entries, is_whole=True).changes == []
    cancel_import(actor=SYSTEM, row=row)
    assert compare(SYSTEM, place, entries, is_whole=True).changes == [("+", "a.md")]


def test_a_new_version_of_the_readers_is_a_change(cast):
    place = source(cast.team)
    read(place, {"a.md": "# A\n\nIt is written down.\n"})
    Document.objects.filter(source=place).update(reading=0)
    entries = [entry("a.md", "# A\n\nIt is written down.\n")]
    assert compare(SYSTEM, place, entries, is_whole=True).changes == [("~", "a.md")]
