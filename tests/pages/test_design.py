"""The design system keeps its own promises: contrast, budgets, and nothing that a strict policy would refuse."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSS = (ROOT / "static/css/hanse.css").read_text()
SPRITE = (ROOT / "static/icons/sprite.svg").read_text()
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))

GROUNDS = ("ground", "surface", "raised", "sunken", "hover", "chosen", "quiet-soft")
SOFT = ("ok-soft", "warn-soft", "bad-soft", "note-soft")
TEXT_PAIRS = [
    *(("text", ground) for ground in (*GROUNDS, *SOFT)),
    *(("muted", ground) for ground in GROUNDS),
    *(("accent", ground) for ground in GROUNDS),
    *((tone, ground) for tone in ("ok", "warn", "bad", "note") for ground in (f"{tone}-soft", "surface", "hover")),
    ("bad", "bad-soft"),
    ("on-fill", "fill"),
]
SHAPE_PAIRS = [(shape, ground) for shape in ("control", "accent") for ground in ("ground", "surface", "raised")]


def tokens() -> dict[str, tuple[str, str]]:
    found = {}
    for name, value in re.findall(r"--([a-z-]+): ([^;]+);", CSS):
        if pair := re.fullmatch(r"light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", value):
            found[name] = (pair[1], pair[2])
        elif re.fullmatch(r"#[0-9a-f]{6}", value):
            found[name] = (value, value)
    return found


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS, ids=lambda name: name)
def test_text_holds_four_and_a_half_to_one(text, ground, theme):
    assert contrast(tokens()[text][theme], tokens()[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPE_PAIRS, ids=lambda name: name)
def test_edges_of_controls_hold_three_to_one(shape, ground, theme):
    assert contrast(tokens()[shape][theme], tokens()[ground][theme]) >= 3


def test_budgets():
    assert len(CSS.encode()) <= 25_000
    assert len((ROOT / "static/js/hanse.js").read_text().splitlines()) <= 200


def test_every_style_is_in_its_layer():
    assert "@layer reset, tokens, base, parts, screens;" in CSS
    assert CSS.count("{") == CSS.count("}")
    assert re.findall(r"^@layer (\w+) \{", CSS, re.MULTILINE) == ["reset", "tokens", "base", "parts", "screens"]


def test_colours_are_tokens():
    screens = re.sub(r"light-dark\([^)]*\)", "", CSS[CSS.index("@layer base") :])
    assert not re.findall(r"#[0-9a-f]{3,8}\b", screens)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_needs_no_exception_from_the_policy(path):
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", source)
    for script in re.findall(r"<script[^>]*>", source):
        assert "src=" in script
        assert "nonce=" in script
    assert not re.search(r"hx-(vars|params|prompt)=", source), "not in the subset that the next htmx keeps"
    for attributes in re.findall(r"<[a-z]+[^>]*\shx-(?:get|post)=[^>]*>", source):
        assert "hx-target=" in attributes
        assert "hx-swap=" in attributes
    assert not re.search(r"https?://(?!ledger\.example\.internal|169\.254)", source), (
        "a page loads from its own origin only"
    )


def test_every_icon_is_drawn():
    drawn = set(re.findall(r'<symbol id="([a-z-]+)"', SPRITE))
    used = {name for path in TEMPLATES for name in re.findall(r'\{% icon "([a-z-]+)"', path.read_text())}
    used |= {name for path in TEMPLATES for name in re.findall(r'symbol="([a-z-]+)"', path.read_text())}
    for module in (ROOT / "portal/parts").glob("*.py"):
        used |= set(re.findall(r'icon\("([a-z-]+)"\)', module.read_text()))
    assert used <= drawn
    assert "<script" not in SPRITE
