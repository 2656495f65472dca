"""The documentation says what is: links lead somewhere, and what is listed is what the code has."""

import ast
import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest

from audit import verbs
from gateway.wire import Limits
from tests.docs import codes, rights
from tests.docs.pages import ROOT, anchors_of, blocks_of, links_of, pages, rows_of, text_of

REFERENCE = ROOT / "docs" / "reference"
COMMANDS = ROOT / "portal" / "management" / "commands"
PAGES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in pages()]
DJANGO = {"check", "migrate", "shell"}
MAX_PICTURE = 200_000


@pytest.mark.parametrize("written", PAGES)
def test_every_link_leads_somewhere(written):
    broken = []
    for link in links_of(written):
        name, _, anchor = link.partition("#")
        target = (written.parent / name).resolve() if name else written
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_index():
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md", ROOT / "README.md")
        for link in links_of(page)
    }
    missing = [page for page in pages() if page not in linked]
    assert [str(page.relative_to(ROOT)) for page in missing if page != ROOT / "README.md"] == []


def test_pictures_are_small_and_come_in_both_themes():
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").glob("*.png")}
    assert {name: size for name, size in pictures.items() if size > MAX_PICTURE} == {}
    lights, darks = (
        {name[: -len(end)] for name in pictures if name.endswith(end)} for end in ("light.png", "dark.png")
    )
    assert lights == darks != set()
    assert pictures.keys() == {Path(link).name for page in pages() for link in links_of(page) if link.endswith(".png")}


def command_names() -> set[str]:
    return {path.stem for path in COMMANDS.glob("*.py") if path.stem != "__init__"} | {"up"}


def sources_of(command: str) -> list[Path]:
    return [ROOT / "portal" / "cli" / "up.py"] if command == "up" else [COMMANDS / f"{command}.py"]


def options_of(command: str) -> set[str]:
    found: set[str] = set()
    for path in sources_of(command):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', text))
        if "add_identity_arguments" in text:
            found |= {"--team", "--person", "--agent"}
    return found


@pytest.mark.parametrize("command", sorted(command_names()))
def test_every_command_and_option_is_documented(command):
    text = text_of(REFERENCE / "commands.md")
    assert re.search(rf"`{command}\b", text)
    assert [option for option in sorted(options_of(command)) if option not in text] == []


@pytest.mark.parametrize("written", PAGES)
def test_every_command_that_is_shown_exists(written):
    known, unknown = command_names() | DJANGO, []
    for block in blocks_of(written, "sh", ""):
        for name, rest in re.findall(r"\./manage\.py ([a-z_]+)([^\n|>;)]*)", block):
            given = set(re.findall(r"(?<!\S)(--[a-z-]+)", rest))
            if name not in known or (name not in DJANGO and given - options_of(name) - {"--help"}):
                unknown.append(f"{name}{rest}")
    assert unknown == []


@pytest.mark.parametrize("written", PAGES)
def test_every_make_target_that_is_shown_exists(written):
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    shown = {
        name for block in blocks_of(written, "sh") for name in re.findall(r"(?m)^(?:\S+=\S+ )?make ([a-z]+)", block)
    }
    assert shown <= targets


@pytest.mark.parametrize("written", PAGES)
def test_every_python_example_can_be_read_and_imports_what_there_is(written):
    for block in blocks_of(written, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)


def test_every_test_that_is_named_exists():
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in [path.stem, *re.findall(r"(?m)^\s*(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"))]
    }
    for page in pages():
        named = set(re.findall(r"`(?:[\w/]*/)?(test_\w+)(?:\.py)?`", text_of(page)))
        assert named <= defined, (page, sorted(named - defined))


def test_the_threat_model_names_its_evidence():
    named = re.findall(r"`(test_\w+)`", text_of(ROOT / "docs" / "threat-model.md"))
    assert len(set(named)) > 40


def registered_verbs() -> dict[str, str]:
    found = {verb: verbs.LABELS[verb] for verb in ("tools.call", "audit.erase_payload")}
    for path in sorted(ROOT.glob("*/verbs.py")) + sorted(ROOT.glob("portal/*/verbs.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if module is not verbs:
            found |= module.LABELS
    return found


def test_every_verb_is_documented_with_its_words():
    shown = {verb.strip("`"): words for verb, words in rows_of(REFERENCE / "audit-records.md", first="verb")}
    assert shown == registered_verbs()


def test_every_code_of_the_gateway_is_documented_with_its_status():
    rows = [row for row in rows_of(REFERENCE / "gateway.md", first="code") if len(row) == 4]
    shown = {(code.strip("`"), int(status), int(number)) for code, status, number, _ in rows}
    assert shown == codes.refusals() - {("json_invalid", 400, -32600)}  # a probe's, said in prose


def test_every_code_of_what_goes_wrong_upstream_is_documented():
    rows = [row for row in rows_of(REFERENCE / "gateway.md", first="code") if len(row) == 2]
    assert {code.strip("`") for code, _ in rows} == codes.upstream_codes()


def test_every_reason_is_documented():
    cells = [row[0] for row in rows_of(REFERENCE / "gateway.md", first="reason")]
    shown = {name for cell in cells for name in re.findall(r"`([a-z._]+)`", cell)}
    assert shown == codes.reasons()


def test_every_limit_is_documented_with_its_value():
    shown = {name.strip("`"): float(value) for name, value, _ in rows_of(REFERENCE / "gateway.md", first="limit")}
    assert shown == {field.name: float(field.default) for field in fields(Limits)}  # type: ignore[arg-type]


def test_the_table_of_rights_is_what_the_checks_say():
    assert rights.table() in text_of(REFERENCE / "roles.md"), f"it should be\n{rights.table()}"


def test_who_reviews_decides_on_what_others_propose_and_does_nothing_else():
    reviewer = rights.COLUMNS[0]
    assert len(rights.acts()) > 20
    assert {act[1] for act in rights.acts() if rights.may(act, reviewer)} == {"require_reviewer"}
