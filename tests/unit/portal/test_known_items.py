"""Sets made of headings: what is asked for is nowhere in the text any more, and one document is the answer."""

import json

import pytest

from kernel.errors import Invalid
from portal.bench.known_items import known_items
from portal.bench.retrieval import check

ONE = "# 12. Use a separate queue\n\nText.\n\n## Status\n\nAccepted\n\n## How it *fails over* at night\n\nMore.\n"
TWO = "# Use a separate queue\n\n```\n# Not a heading at all\n```\n\n## Status\n\nOther.\n"
THREE = "# Rotate the [signing keys](https://example.test) often\n\n## Status\n\nDone.\n"
TEAMS = [{"name": "a", "docs": [ONE, TWO]}, {"name": "b", "docs": [THREE]}]


def test_only_headings_that_stand_nowhere_else_are_asked_for():
    found = known_items(TEAMS, "titles", is_together=False)
    assert found["queries"] == [{"team": "b", "text": "Rotate the signing keys often", "relevant": ["1/0"]}]
    assert [row["text"] for row in found["documents"][:2]] == [ONE, TWO]
    assert "signing keys" not in found["documents"][2]["text"]
    assert check(found) == found


def test_a_later_heading_is_taken_out_of_its_text_and_nothing_else():
    found = known_items(TEAMS, "sections", is_together=True)
    assert found["queries"] == [{"team": "all", "text": "How it fails over at night", "relevant": ["0/0"]}]
    assert found["documents"][0]["text"] == ONE.replace("## How it *fails over* at night", "")
    assert {row["team"] for row in found["documents"]} == {"all"}


@pytest.mark.parametrize("wrong", [{}, [1], [{"name": "a"}], json.loads('{"documents": []}')])
def test_teams_of_another_form_are_refused(wrong):
    with pytest.raises(Invalid):
        known_items(wrong, "titles", is_together=False)
