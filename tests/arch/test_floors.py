"""The house keeps its shape: floors, sizes, names, and who may touch whose tables."""

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("kernel", "audit", "tenants", "registry", "blueprints", "learning", "gateway", "portal")
APPS = ("audit", "tenants", "registry", "blueprints", "learning")
CATCH_ALL = re.compile(r"(utils?|helpers?|managers?|commons?|handlers?|misc|core)")
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.With, ast.AsyncWith, ast.IfExp, ast.Assert)


def sources(*folders: str) -> list[Path]:
    chosen = folders or (*PACKAGES, "tests", "manage.py")
    paths = [
        path for name in chosen for path in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    ]
    return sorted(path for path in paths if "migrations" not in path.parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(*folders: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sources(*folders):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complexity(node: ast.AST) -> int:
    inner = list(ast.walk(node))
    boolean = sum(len(part.values) - 1 for part in inner if isinstance(part, ast.BoolOp))
    clauses = sum(len(part.ifs) + 1 for part in inner if isinstance(part, ast.comprehension))
    return 1 + boolean + clauses + sum(isinstance(part, BRANCHES) for part in inner)


def test_each_floor_imports_only_what_stands_below_it():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_no_function_is_longer_than_60_lines_and_half_are_shorter_than_10():
    lengths = {name: length(node) for name, node in functions()}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert statistics.median(length(node) for _, node in functions(*PACKAGES)) < 10


def test_hardly_any_function_is_complex():
    scores = {name: complexity(node) for name, node in functions(*PACKAGES)}
    complicated = {name: score for name, score in scores.items() if score > 10}
    assert len(complicated) <= len(scores) * 0.015, complicated


def test_no_file_is_longer_than_500_lines():
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: count for name, count in lines.items() if count > 500} == {}


def test_the_kernel_is_small_and_knows_no_framework():
    paths = sources("kernel")
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths) <= 400
    imported = {name.partition(".")[0] for path in paths for name in imports_of(path)}
    assert imported & {"django", "celery", "rest_framework", "psycopg", *PACKAGES[1:]} == set()


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_imports_stand_at_the_top_of_the_file():
    deferred = []
    for name, node in functions(*PACKAGES):
        inner = [part for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom)]
        deferred += [f"{name}: line {part.lineno}" for part in inner]
    assert deferred == []


@pytest.mark.parametrize("package", PACKAGES)
def test_rows_are_reached_through_the_owning_app_only(package):
    """`.objects` of another app's model is how access rules are passed by: use its queries and services."""
    if package in APPS:
        foreign = {name for app in APPS if app != package for name in model_names(app)}
    else:
        foreign = {name for app in APPS for name in model_names(app)}
    own = model_names("portal/rest") if package == "portal" else model_names(package)
    found = []
    for path in sources(package):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"objects", "_default_manager", "_base_manager"}:
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                if owner in foreign or (package == "portal" and owner not in own):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {owner}.{node.attr}")
    assert found == []


@cache
def model_names(app: str) -> frozenset[str]:
    return frozenset(
        node.name
        for path in (ROOT / app).rglob("models.py")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    )


def test_no_module_is_named_for_everything():
    names = {str(path.relative_to(ROOT)): path.stem for path in sources(*PACKAGES)}
    assert [name for name, stem in names.items() if CATCH_ALL.fullmatch(stem)] == []


def tracked_files() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_the_root_is_tidy():
    entries = {name.partition("/")[0] for name in tracked_files()}
    assert len(entries) <= 20, sorted(entries)


def test_locks_pin_every_hash_and_name_no_host():
    for lock in (ROOT / "requirements.lock", ROOT / "tests" / "requirements.lock"):
        text = lock.read_text(encoding="utf-8")
        pinned = re.findall(r"(?m)^[a-z0-9][^\s=]*==", text)
        blocks = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
        assert len(pinned) == len(blocks) > 50
        assert all("--hash=sha256:" in block for block in blocks)
        assert re.search(r"https?:|file:|index-url|find-links|\.(org|com|net|io)/", text) is None


def test_no_committed_text_names_a_machine_or_a_key():
    places = [f"/{name}/" for name in ("work", "root")]  # composed, so that this file does not find itself
    forbidden = [re.compile(re.escape(place)) for place in places]
    forbidden.append(re.compile("BEGIN [A-Z ]*PRIVATE" + r" KEY-----\n[A-Za-z0-9+/]"))
    found = []
    for name in tracked_files():
        path = ROOT / name
        if path.suffix in {".png", ".ico", ".lock"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {pattern.pattern}" for pattern in forbidden if pattern.search(text)]
    assert found == []
