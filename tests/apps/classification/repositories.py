"""Small repositories, made anew for each run: whole ones that lack nothing, and thin ones that only look the part."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Files = dict[str, str]

MANY = "\n".join(f"def add_{n}(a, b):\n    return a + b + {n}\n" for n in range(10))
PY_TESTS = "from calc import *\n\n" + "\n".join(
    f"def test_add_{n}():\n    assert add_{n}(1, 2) == {n + 3}\n" for n in range(5)
)


def workflow(command: str, *, on: str = "[push, pull_request]", extra: str = "") -> str:
    return (
        f"on: {on}\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: {json.dumps(command)}\n{extra}"
    )


def whole(command: str, **files: str) -> Files:
    """Returns what every whole repository has around its code, with its own test command."""
    return {
        "README.md": "# Example\n\nAn example that is whole.\n",
        "AGENTS.md": f"# For agents\n\nRun the tests before each commit:\n\n```sh\n{command}\n```\n",
        ".github/workflows/ci.yml": workflow(command),
        ".github/CODEOWNERS": "* @example/owners\n",
        **files,
    }


PYTHON = whole(
    "pytest -q",
    **{
        "calc.py": MANY,
        "tests/test_calc.py": PY_TESTS,
        "pyproject.toml": "[project]\nname='calc'\ndependencies=['attrs']\n[tool.pytest.ini_options]\n[tool.ruff]\n",
        "uv.lock": "version = 1\n",
        ".python-version": "3.11.7\n",
    },
)
JAVASCRIPT = whole(
    "npm test",
    **{
        "package.json": json.dumps({"scripts": {"test": "vitest run"}, "devDependencies": {"vitest": "3"}}),
        "package-lock.json": "{}",
        ".nvmrc": "22\n",
        "eslint.config.js": "export default []\n",
        "src/calc.ts": "\n".join(f"export const add{n} = (a: number) => a + {n}" for n in range(20)),
        "src/calc.test.ts": "\n".join(
            f"it('adds {n}', () => {{\n  expect(add{n}(1)).toBe({n + 1})\n}})" for n in range(4)
        ),
    },
)
GO = whole(
    "go test ./...",
    **{
        "go.mod": "module example.test/calc\n\ngo 1.24.1\n\nrequire example.test/other v1.0.0\n",
        "go.sum": "example.test/other v1.0.0 h1:x\n",
        ".golangci.yml": "version: '2'\n",
        "calc.go": "package calc\n" + "\n".join(f"func Add{n}(a int) int {{\n\treturn a + {n}\n}}" for n in range(8)),
        "calc_test.go": "package calc\n"
        + "\n".join(
            f"func TestAdd{n}(t *testing.T) {{\n\tif Add{n}(1) != {n + 1} {{\n\t\tt.Fatal(1)\n\t}}\n}}"
            for n in range(4)
        ),
    },
)
JAVA = whole(
    "./mvnw -q verify",
    **{
        "pom.xml": "<project><dependencies><dependency><version>5.11.0</version></dependency></dependencies></project>",
        ".mvn/wrapper/maven-wrapper.properties": "distributionUrl=3.9.9\n",
        "checkstyle.xml": "<module/>",
        "src/main/java/Calc.java": "class Calc {\n"
        + "\n".join(f"  int add{n}(int a) {{ return a + {n}; }}" for n in range(9))
        + "\n}",
        "src/test/java/CalcTest.java": "class CalcTest {\n"
        + "\n".join(
            f"  @Test void adds{n}() {{\n    assertEquals({n + 1}, new Calc().add{n}(1));\n  }}" for n in range(4)
        )
        + "\n}",
    },
)
RUST = whole(
    "cargo test",
    **{
        "Cargo.toml": "[package]\nname = 'calc'\n",
        "Cargo.lock": "version = 4\n",
        "rust-toolchain.toml": "[toolchain]\nchannel = '1.90.0'\n",
        "rustfmt.toml": "max_width = 100\n",
        "src/lib.rs": "\n".join(f"pub fn add{n}(a: u8) -> u8 {{ a + {n} }}" for n in range(9))
        + "\n#[cfg(test)]\nmod tests {\n"
        + "\n".join(f"  #[test]\n  fn adds{n}() {{ assert_eq!(add{n}(1), {n + 1}); }}" for n in range(4))
        + "\n}\n",
    },
)
MONOREPO = {
    **{path: text for path, text in PYTHON.items() if "/" not in path and not path.endswith((".py", ".toml", ".lock"))},
    ".github/workflows/ci.yml": PYTHON[".github/workflows/ci.yml"],
    ".github/CODEOWNERS": PYTHON[".github/CODEOWNERS"],
    "Makefile": "test:\n\tpytest -q\n",
    **{f"api/{name}": PYTHON[name] for name in ("calc.py", "tests/test_calc.py", "pyproject.toml", "uv.lock")},
    **{f"web/{name}": text for name, text in JAVASCRIPT.items() if name.startswith(("src/", "package"))},
}
WHOLE: dict[str, Files] = {
    "python": PYTHON, "javascript": JAVASCRIPT, "go": GO, "java": JAVA, "rust": RUST, "monorepo": MONOREPO,
}  # fmt: skip

VENDORED_TESTS = {f"vendor/lib/{path}": PYTHON[path] for path in ("calc.py", "tests/test_calc.py")}
THIN: dict[str, tuple[Files, str]] = {
    "docs only": ({"README.md": "# Only words here, and more of them\n", "docs/guide.md": "Words.\n"}, "shape.own_code"),
    "empty": ({".gitkeep": ""}, "shape.own_code"),
    "tests in name only": ({**PYTHON, "tests/test_calc.py": "def test_a():\n    add(1)\n" * 9}, "tests.real"),
    "tautologies": ({**PYTHON, "tests/test_calc.py": "def test_a():\n    assert True\n" * 9}, "tests.real"),
    "tests in comments": ({**GO, "calc_test.go": "/*" + GO["calc_test.go"] + "*/"}, "tests.real"),
    "CI runs no tests": ({**PYTHON, ".github/workflows/ci.yml": workflow("ruff check")}, "ci.tests_changes"),
    "CI swallows failures": ({**PYTHON, ".github/workflows/ci.yml": workflow("pytest -q || true")}, "ci.tests_changes"),
    "CI only at night": ({**PYTHON, ".github/workflows/ci.yml": workflow("pytest -q", on="{schedule: [{cron: '0 1 * * *'}]}")}, "ci.tests_changes"),
    "vendored tests": ({**{path: text for path, text in PYTHON.items() if path != "tests/test_calc.py"}, **VENDORED_TESTS}, "tests.real"),
    "mostly vendored": ({**PYTHON, **{f"vendor/lib{n}/calc.py": MANY for n in range(4)}}, "shape.own_code"),
    "hollow npm test": ({**JAVASCRIPT, "package.json": JAVASCRIPT["package.json"].replace("vitest run", "echo ok && exit 0")}, "ci.tests_changes"),
    "no lock": ({path: text for path, text in JAVA.items() if path != "pom.xml"} | {"build.gradle": "plugins {}"}, "lock.present"),
    "half a monorepo": ({path: text for path, text in MONOREPO.items() if path != "web/src/calc.test.ts"}, "tests.every_package"),
    "skipped tests": ({**PYTHON, "tests/test_calc.py": "pytestmark = pytest.mark.skip\n" + PY_TESTS}, "tests.not_skipped"),
    "no instructions": ({path: text for path, text in GO.items() if path != "AGENTS.md"}, "conventions.agents"),
    "regulated": ({**PYTHON, "pci/vault.py": MANY}, "safety.regulated"),
}  # fmt: skip


def make_repository(root: Path, files: Files) -> Path:
    """Writes the files and commits them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if not (root / ".git").exists():
        run_git(root, "init", "-q", "-b", "main")
    run_git(root, "add", "-A", "-f")
    run_git(root, "commit", "-q", "--allow-empty", "-m", "Begin")
    return root


def run_git(root: Path, *words: str) -> str:
    person = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in PERSON.items()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1", **person}
    done = subprocess.run(["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


PERSON = {"NAME": "Ana", "EMAIL": "ana@example.test", "DATE": "2026-11-01T10:00:00Z"}


def report_of(root: Path, command: str, **parts: object) -> dict[str, object]:
    """Returns a report in which everything passed, except what `parts` says."""
    run = {"passed": 5, "failed": 0, "skipped": 0, "outcomes": "a" * 64}
    return {
        "executed": 1,
        "commit": run_git(root, "rev-parse", "HEAD"),
        "at": "2026-11-23T11:00:00Z",
        "runner": {"driver": "bubblewrap", "kernel": "shared", "network": "none"},
        "setup": {"state": "passed", "command": "make setup"},
        "tests": {"state": "passed", "command": command, "runs": [run, run]},
        "mutation": {"state": "passed", "tried": 10, "caught": 6},
        "lint": {"state": "passed", "command": "make lint", "findings": 0},
        **parts,
    }


COMMANDS = {"javascript": "npm test", "go": "go test ./...", "java": "./mvnw -q verify", "rust": "cargo test"}


def command_of(files: Files) -> str:
    """Returns the test command that the repository's instructions name."""
    return next((command for command in COMMANDS.values() if command in files.get("AGENTS.md", "")), "pytest -q")
