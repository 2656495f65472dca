"""What the reference says of harness layers is what the code takes and refuses."""

import re

import pytest

from blueprints.format.reading import read_yaml
from blueprints.harness.layers import EVIDENCE, LAYER, check_layer
from blueprints.harness.parameters import DIRECTIONS
from tests.docs.pages import ROOT, blocks_of, rows_of, text_of

PAGE = ROOT / "docs" / "reference" / "blueprints.md"
SOURCES = ["blueprints/harness/layers.py", "blueprints/harness/merging.py", "blueprints/queries/harness.py"]
OTHERS = {"LAYERS", "REMOVED", "CHANGED"}
"""Of a call with the wrong layers, and of the proof that compares two whole harnesses: no layer can be told so."""


def test_the_layer_that_is_shown_is_sound():
    (shown,) = [block for block in blocks_of(PAGE, "yaml") if block.startswith("harness:")]
    assert check_layer(read_yaml(shown).value) == []


def test_every_part_direction_and_kind_of_evidence_is_documented():
    text = text_of(PAGE)
    parts = {cell.strip("`") for cell, _ in rows_of(PAGE, first="part")}
    assert parts == set(LAYER.optional)
    directions = " ".join(row[0] for row in rows_of(PAGE, first="direction of a parameter"))
    assert set(re.findall(r"`(\w+)`", directions)) == set(DIRECTIONS)
    assert [kind for kind in EVIDENCE if f"`{kind}`" not in text] == []


@pytest.mark.parametrize("path", SOURCES)
def test_every_code_of_a_finding_in_a_layer_is_documented(path):
    found = re.findall(r'fault\(\s*"([A-Z_]+)"|: Final = "([A-Z_]+)"', (ROOT / path).read_text(encoding="utf-8"))
    codes = {code for pair in found for code in pair if code} - OTHERS
    assert codes
    assert [code for code in sorted(codes) if f"`{code}`" not in text_of(PAGE)] == []
