"""Environment, conventions and safety: what stands around the code."""

import re
from collections.abc import Iterable
from typing import Final

from blueprints.classification.commands import code_in_markdown, commands_that_test
from blueprints.classification.pipelines import Pipeline, deploys
from blueprints.classification.signals import Finding, found
from blueprints.classification.suites import is_foreign
from blueprints.classification.tree import Tree, show

INSTRUCTIONS: Final = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".github/copilot-instructions.md", ".cursorrules")
MAX_INSTRUCTIONS: Final = 32 * 1024

_PIN_FILES: Final = re.compile(
    r"\.python-version|\.nvmrc|\.node-version|\.ruby-version|\.java-version|\.tool-versions|\.sdkmanrc|mise\.toml|\.mise\.toml|"
    r"rust-toolchain(\.toml)?|global\.json|flake\.lock|gradle/wrapper/gradle-wrapper\.properties|\.mvn/wrapper/maven-wrapper\.properties"
)
_CONTAINER: Final = re.compile(
    r"(^|/)(Dockerfile(\.\w+)?|Containerfile|\.?devcontainer(/.+)?\.json|compose\.ya?ml|docker-compose\.ya?ml)$"
)
_NIX: Final = re.compile(r"(flake|shell|default)\.nix")
_FROM: Final = re.compile(r"(?mi)^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)?(\S+)")
_LINT_FILES: Final = re.compile(
    r"(?:.*/)?(?:\.?ruff\.toml|\.flake8|\.pylintrc|mypy\.ini|\.mypy\.ini|pyrightconfig\.json|\.eslintrc(\.\w+)?|eslint\.config\.[cm]?[jt]s|"
    r"\.prettierrc(\.\w+)?|biome\.jsonc?|tsconfig\.json|\.golangci\.(ya?ml|toml|json)|checkstyle\.xml|pmd\.xml|spotbugs\S*\.xml|"
    r"\.editorconfig|rustfmt\.toml|\.rustfmt\.toml|clippy\.toml|\.rubocop\.yml|phpstan\.neon(\.dist)?|\.clang-tidy|\.clang-format|"
    r"detekt\.yml|\.pre-commit-config\.yaml)"
)
_LINT_WORDS: Final = re.compile(
    r"\[tool\.(?:ruff|black|mypy|pylint|pyright|flake8)|spotless|checkstyle|ktlint|\"(?:eslintConfig|prettier)\"|go vet"
)
_LINT_PLACES: Final = (
    "pyproject.toml",
    "setup.cfg",
    "package.json",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Makefile",
)
_KEYS: Final = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s{0,4}[A-Za-z0-9+/]{20}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{60}|"
    r"\bglpat-[\w-]{20}\b|\bxox[abpr]-\d{8,}-[\w-]{10,}|\bsk_live_[A-Za-z0-9]{20}|\bsk-ant-[\w-]{40}|\bAIza[\w-]{35}\b|\bnpm_[A-Za-z0-9]{36}\b"
)
_SECRET_FILES: Final = re.compile(
    r"(?:^|/)(?:\.env(?:\.(?:prod|production|local|live))?|id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|credentials\.json)$"
)
_REGULATED: Final = re.compile(r"(?i)(?:^|[/_.-])(pci|pci-?dss|hipaa|phi|gdpr|sox|cardholder|kyc|aml)(?=[/_.-]|$)")
_DEPLOY_PATHS: Final = re.compile(
    r"(?i)(^|/)(k8s|kubernetes|helm|charts|terraform|deploy(ments?)?|infra(structure)?|ansible)/|\.tf$|(^|/)(Chart\.yaml|serverless\.ya?ml|fly\.toml|Procfile|app\.ya?ml|skaffold\.ya?ml|deploy\.sh)$"
)
_MIGRATIONS: Final = re.compile(
    r"(?i)(^|/)(migrations?|alembic|db/migrate|flyway|liquibase)/[^/]+\.(py|sql|rb|js|ts|xml|ya?ml|php|ex)"
)
_SCANNERS: Final = re.compile(
    r"gitleaks|trufflehog|detect-secrets|git-secrets|ggshield|secretlint|talisman|secret[_-]detection"
)
_OWNERS: Final = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_COVERAGE: Final = re.compile(
    r"fail_under|cov-fail-under|coverageThreshold|thresholds?\s{0,5}[:=]\s{0,5}\{|jacocoTestCoverageVerification|<minimum>|minimum_coverage"
)
_TOP_TEXT: Final = re.compile(r"(?i)(?:docs/|\.github/)?(readme|contributing|security)(\.\w+)?")


def _top_texts(tree: Tree) -> set[str]:
    found_ones = (_TOP_TEXT.fullmatch(path) for path, size in tree.files.items() if size >= 20)
    return {match[1].lower() for match in found_ones if match}


def find_conventions(tree: Tree, hollow: frozenset[str]) -> dict[str, Finding]:
    """Returns the signals of README, instructions for agents, CONTRIBUTING and linters."""
    names = _top_texts(tree)
    there = [name for name in INSTRUCTIONS if tree.files.get(name)]
    commands = instructed_commands(tree, hollow)
    return {
        "conventions.readme": found("readme" in names),
        "conventions.contributing": found("contributing" in names),
        "safety.policy": found("security" in names),
        "conventions.agents": found(bool(commands), files=there, test_commands=[show(line) for line in commands[:20]]),
        "conventions.lint": _find_lint(tree),
    }


def instructed_commands(tree: Tree, hollow: frozenset[str]) -> list[str]:
    """Returns the test commands that the instructions for agents name; a text beyond 32 KiB is not read by agents."""
    short = [name for name in INSTRUCTIONS if 0 < tree.files.get(name, 0) <= MAX_INSTRUCTIONS]
    codes = (code for name in short for code in code_in_markdown(tree.text(name)))
    return list(dict.fromkeys(commands_that_test(codes, hollow)))


def _find_lint(tree: Tree) -> Finding:
    files = [path for path in tree.files if _LINT_FILES.fullmatch(path) and not is_foreign(path)]
    real = [path for path in files if not path.endswith(".editorconfig")]
    named = any(_LINT_WORDS.search(tree.text(path)) for path in _own(tree) if path.rpartition("/")[2] in _LINT_PLACES)
    return found(bool(real) or named, files=[show(path) for path in sorted(files)[:20]])


def find_environment(tree: Tree) -> dict[str, Finding]:
    """Returns the signals of toolchain and container."""
    pins = [path for path in tree.files if _PIN_FILES.fullmatch(path) and tree.files[path]]
    containers = [path for path in tree.files if _CONTAINER.search(path) and not is_foreign(path)]
    nix = [path for path in tree.files if _NIX.fullmatch(path)]
    images = [image for path in containers for image in _FROM.findall(tree.text(path))]
    tagged = bool(images) and all(_is_tagged(image) for image in images)
    in_manifest = re.search(r"(?m)^toolchain go\d|^go \d+\.\d+\.\d+", tree.text("go.mod")) is not None
    volta = '"volta"' in tree.text("package.json")
    return {
        "environment.toolchain": found(
            bool(pins) or tagged or in_manifest or volta, files=[show(path) for path in sorted(pins)[:20]]
        ),
        "environment.container": found(
            bool(containers or nix), files=[show(path) for path in sorted(containers + nix)[:20]]
        ),
    }


def _is_tagged(image: str) -> bool:
    """Tells whether an image names a version; `scratch` has none."""
    name = image.rpartition("/")[2]
    return "@sha256:" in image or image == "scratch" or (":" in name and not name.endswith(":latest"))


def find_safety(tree: Tree, pipelines: list[Pipeline], harness: frozenset[str]) -> dict[str, Finding]:
    """Returns the signals of secrets, owners, deployment and regulation. What was found is named by file, never shown."""
    suspects = sorted(path for path in tree.files if _holds_secret(tree, path))
    owners = [path for path in _OWNERS if re.search(r"(?m)^[^#\s]\S*[ \t]+\S*@", tree.text(path))]
    rolled_out = sorted({path for path in _own(tree) if _DEPLOY_PATHS.search(path)} | set(deploys(pipelines)))
    migrations = [path for path in _own(tree) if _MIGRATIONS.search(path)]
    return {
        "safety.no_secrets": found(not suspects, files=[show(path) for path in suspects[:20]]),
        "safety.owners": found(bool(owners), files=owners),
        "safety.owned_changes": found(
            bool(owners) or not (rolled_out or migrations),
            deployment=[show(path) for path in rolled_out[:20]],
            migrations=len(migrations),
        ),
        "safety.regulated": _find_regulated(_own(tree), harness),
        "safety.secret_scan": found(_scans(tree, pipelines)),
        "safety.branch_rules": found(
            any(tree.files.get(path) for path in (".github/settings.yml", ".github/rulesets.json", ".asf.yaml"))
            or any(path.startswith(".github/rulesets/") for path in tree.files)
        ),
        "tests.coverage": found(any(_COVERAGE.search(tree.text(name)) for name in _coverage_files(tree))),
    }


def _own(tree: Tree) -> list[str]:
    return [path for path in tree.files if not is_foreign(path)]


def _holds_secret(tree: Tree, path: str) -> bool:
    return bool(_SECRET_FILES.search(path) or _KEYS.search(tree.text(path)))


def _find_regulated(paths: Iterable[str], harness: frozenset[str]) -> Finding:
    marks = {match[1].lower() for path in paths for match in _REGULATED.finditer(path)}
    return found(marks <= harness, marks=sorted(marks), harness=sorted(harness & marks))


def _scans(tree: Tree, pipelines: list[Pipeline]) -> bool:
    texts = [tree.text(".pre-commit-config.yaml"), *(text for one in pipelines for text in (*one.scripts, *one.uses))]
    return ".gitleaks.toml" in tree.files or any(_SCANNERS.search(text) for text in texts)


def _coverage_files(tree: Tree) -> list[str]:
    names = (
        "pyproject.toml",
        "setup.cfg",
        ".coveragerc",
        "tox.ini",
        "package.json",
        "pom.xml",
        "build.gradle",
        "codecov.yml",
    )
    return [*names, *(path for path in tree.files if re.fullmatch(r"(jest|vitest)\.config\.[cm]?[jt]s", path))]
