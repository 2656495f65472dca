"""CI files: what starts them, what they run, and that no text can make reading them expensive."""

from pathlib import Path

import pytest

from blueprints.classification.commands import code_in_markdown, runs_linter, runs_tests
from blueprints.classification.pipelines import find_pipelines, load_yaml, read_pipelines
from blueprints.classification.tree import Bounds, Tree


def tree_of(**files: str) -> Tree:
    tree = Tree(Path("/nowhere"), Bounds())
    for name, text in files.items():
        tree.files[name], tree.texts[name] = len(text), text.encode()
    return tree


def guards(path: str, text: str) -> bool:
    pipelines = read_pipelines(tree_of(**{path: text}))
    return find_pipelines(pipelines, frozenset())["ci.tests_changes"].state == "met"


JOB = "jobs: {t: {steps: [{run: pytest}]}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"on: pull_request\n{JOB}", True),
        (f"on: [push]\n{JOB}", True),
        (f"on: {{push: {{branches: [main]}}}}\n{JOB}", False),
        (f"on: {{push: null, pull_request: {{branches: [main]}}}}\n{JOB}", True),
        (f"on: workflow_dispatch\n{JOB}", False),
        (f"on: pull_request_target\n{JOB}", False),
        ("on: push\njobs: {t: {if: false, steps: [{run: pytest}]}}", False),
        ("on: push\njobs: {t: {continue-on-error: true, steps: [{run: pytest}]}}", False),
        ("on: push\njobs: {t: {steps: [{run: pytest, continue-on-error: true}]}}", False),
        ("on: push\njobs: {t: {steps: [{name: pytest, run: ls}]}}", False),
        ("on: push\njobs: {t: {steps: [{run: 'pip install pytest'}]}}", False),
        ("on: push\njobs: {t: {steps: [{run: 'echo pytest'}]}}", False),
        ("on: push\njobs: [1]", False),
        ("on: push\njobs: {t: {steps: {run: pytest}}}", False),
        ("- a list", False),
        ("on: [\n", False),
        ("", False),
    ],
)
def test_a_workflow_guards_changes(text, expected):
    assert guards(".github/workflows/ci.yml", text) == expected


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".gitlab-ci.yml", "t: {script: [make test]}", True),
        (".gitlab-ci.yml", "t: {script: [make test], allow_failure: true}", False),
        (".gitlab-ci.yml", "t: {script: [make test], when: manual}", False),
        (".gitlab-ci.yml", "t: {script: [make test], only: [tags]}", False),
        (".gitlab-ci.yml", ".x: &x {script: [go test ./...]}\nt: {<<: *x}", True),
        (".circleci/config.yml", "jobs: {b: {steps: [{run: {name: t, command: cargo test}}]}}", True),
        ("azure-pipelines.yml", "trigger: none\nsteps: [{script: pytest}]", False),
        ("azure-pipelines.yml", "trigger: [main]\nsteps: [{script: pytest}]", True),
        ("Jenkinsfile", "stage('t') { steps { sh './gradlew check' } }", True),
        ("Jenkinsfile", "stage('t') { /* sh './gradlew check' */ }", False),
        ("Jenkinsfile", "// sh 'pytest'", False),
        (".travis.yml", "script: npm test", True),
        (".gitlab-ci.yml", "script: {when: [], only: {a: 1}}", False),
    ],
)
def test_other_systems_guard_changes(path, text, expected):
    assert guards(path, text) == expected


@pytest.mark.parametrize(
    "line",
    ["pytest", "uv run pytest -q", "python -m unittest", "npm run test:unit", "go test ./...", "mvn -B verify", "cd a && make test",
     "./gradlew build", "cargo nextest run", "npx vitest run", "bundle exec rspec", "dotnet test -c Release", "tox -e py311", "bazel test //..."],
)  # fmt: skip
def test_lines_that_run_tests(line):
    assert runs_tests(line)


@pytest.mark.parametrize(
    "line",
    ["echo pytest", "# pytest", "pytest || true", "pytest; true", "pytest --collect-only", "pip install pytest", "mvn -DskipTests package",
     "./gradlew build -x test", "go test --help", "npm install jest", "ls tests", "set +e\npytest", "latest", "- pytest", "cat pytest.ini"],
)  # fmt: skip
def test_lines_that_do_not(line):
    assert not runs_tests(line)


def test_a_command_that_is_known_to_do_nothing_does_not_test():
    assert not runs_tests("npm test -- --ci", frozenset({"npm test"}))


def test_linters():
    assert runs_linter("ruff check .")
    assert runs_linter("npm ci && npm run lint")
    assert not runs_linter("pip install ruff")
    assert not runs_linter("eslint . || true")


def test_code_in_markdown():
    assert code_in_markdown("Use `make test`.\n\n```sh\n$ npm ci\n```\nwords") == ["npm ci", "make test"]


BOMB = "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 11))
MERGE_BOMB = "a0: &a0 {x: 1}\n" + "\n".join(
    f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, 11)
)
SELF = "a: &a [*a, {script: &s {run: *s}}]"


@pytest.mark.parametrize("text", [BOMB, MERGE_BOMB, SELF, "[" * 60_000, "x: " * 20_000, "? " * 30_000, "x" * 70_000])
@pytest.mark.parametrize("path", [".gitlab-ci.yml", ".github/workflows/ci.yml"])
def test_bombs_end_and_guard_nothing(path, text):
    assert not guards(path, text)


def test_no_object_is_made_from_yaml():
    assert load_yaml("!!python/object/apply:os.system [ls]") is None


@pytest.mark.parametrize("line", ["@echo pytest", "@- echo pytest", "  true pytest", ": pytest", "exit 0 # pytest"])
def test_lines_that_only_say_something(line):
    assert not runs_tests(line)
