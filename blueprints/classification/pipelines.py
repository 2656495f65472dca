"""What CI does, read from its files: on which events it runs, and whether it runs tests whose failure counts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from blueprints.classification.commands import runs_linter, runs_tests
from blueprints.classification.signals import Finding, found
from blueprints.classification.tree import Tree, show

_WORKFLOW: Final = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
_SYSTEMS: Final = {
    ".gitlab-ci.yml": "gitlab",
    ".circleci/config.yml": "circleci",
    ".travis.yml": "travis",
    "azure-pipelines.yml": "azure",
    "bitbucket-pipelines.yml": "bitbucket",
    ".drone.yml": "drone",
    ".woodpecker.yml": "woodpecker",
    "Jenkinsfile": "jenkins",
}
_SCRIPTS: Final = frozenset(("script", "run", "command", "commands", "bash", "pwsh", "before_script", "after_script"))
_MAX_YAML: Final = 64 * 1024
_MAX_VALUES: Final = 20_000
_PINNED: Final = re.compile(r"@[0-9a-f]{40}$|@sha256:[0-9a-f]{64}$|^\./")
_DEPLOYS: Final = re.compile(
    r"\b(?:kubectl|helm (?:upgrade|install)|terraform apply|twine upload|npm publish|docker push|cdk deploy|deploy)\b"
)


@dataclass(slots=True)
class Pipeline:
    """One pipeline file: its system, whether a change starts it, the scripts whose failure counts, and used actions."""

    path: str
    system: str
    on_change: bool = False
    scripts: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)


def read_pipelines(tree: Tree) -> list[Pipeline]:
    """Returns the pipelines of the tree's top; one that cannot be read has neither scripts nor events."""
    found_ones = []
    for path in sorted(tree.files):
        if _WORKFLOW.fullmatch(path):
            found_ones.append(_read_workflow(path, tree.text(path)))
        elif path in _SYSTEMS:
            found_ones.append(_read_other(path, _SYSTEMS[path], tree.text(path)))
    return found_ones


def load_yaml(text: str) -> Any:
    """Returns what a YAML text says, or None when it is too large, too deep or not YAML."""
    if len(text) > _MAX_YAML:
        return None
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return None


class _Loader(yaml.SafeLoader):
    """Merging keys copies what an alias names, so a text with many aliases grows without end: such a text is refused."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > 100:
                raise yaml.YAMLError("too many aliases")
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MAX_VALUES:
            raise yaml.YAMLError("merged keys grow too large")


def _read_workflow(path: str, text: str) -> Pipeline:
    pipeline = Pipeline(path, "github")
    document = load_yaml(text)
    if not isinstance(document, dict):
        return pipeline
    # YAML 1.1 reads the key `on` as true.
    pipeline.on_change = _starts_on_change(document.get("on", document.get(True)))
    jobs = document.get("jobs")
    for job in list(jobs.values())[:200] if isinstance(jobs, dict) else []:
        if isinstance(job, dict) and not _is_off(job):
            pipeline.uses.extend(filter(None, [_word(job.get("uses"))]))
            _read_steps(pipeline, job.get("steps"))
    return pipeline


def _starts_on_change(events: object) -> bool:
    names = set(events) if isinstance(events, dict) else set(_words(events))
    if names & {"pull_request", "merge_group"}:
        return True
    push = events.get("push") if isinstance(events, dict) else None
    return "push" in names and not (isinstance(push, dict) and {"branches", "tags"} & set(push))


def _is_off(part: dict[Any, Any]) -> bool:
    """Tells whether a job or step never runs, or may fail unnoticed."""
    off = str(part.get("if", "")).strip().lower() in {"false", "${{ false }}", "never()", "failure()"}
    return off or part.get("continue-on-error", False) is not False


def _read_steps(pipeline: Pipeline, steps: object) -> None:
    for step in steps[:500] if isinstance(steps, list) else []:
        if isinstance(step, dict) and not _is_off(step):
            pipeline.scripts.extend(filter(None, [_word(step.get("run"))]))
            pipeline.uses.extend(filter(None, [_word(step.get("uses"))]))


def _read_other(path: str, system: str, text: str) -> Pipeline:
    if system == "jenkins":
        kept = re.sub(r"/\*[^*]{0,5000}\*/|(?m:^[ \t]*//.*$)", "", text)
        scripts = re.findall(r"\b(?:sh|bat)\b[ \t(]*(?:script:[ \t]*)?(?:'''|\"\"\"|'|\")([^'\"]{1,2000})", kept)
        return Pipeline(path, system, on_change=True, scripts=scripts)
    document = load_yaml(text)
    if not isinstance(document, dict):
        return Pipeline(path, system)
    on_change = str(document.get("trigger", "")).lower() != "none" or "pr" in document
    return Pipeline(path, system, on_change=on_change, scripts=list(_scripts_in(document)))


def _scripts_in(document: dict[Any, Any]) -> Iterator[str]:
    """Yields scripts below any key that holds some; a walk with a bound, because aliases can make a small text large."""
    waiting: list[Any] = [document]
    for _ in range(_MAX_VALUES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict) and not _is_side_job(value):
            for key, inner in value.items():
                if key in _SCRIPTS:
                    yield "\n".join(_words(inner))
                if isinstance(inner, dict | list):
                    waiting.append(inner)


def _is_side_job(job: dict[Any, Any]) -> bool:
    """Tells whether a job waits for a person, may fail, or runs only for tags or at a time of day."""
    only = set(_words(job.get("only")))
    manual = _word(job.get("when")) in {"manual", "never"}
    return manual or job.get("allow_failure") is True or bool(only and only <= {"tags", "schedules", "triggers", "web"})


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def find_pipelines(pipelines: list[Pipeline], hollow: frozenset[str]) -> dict[str, Finding]:
    """Returns the signals of CI."""
    testing = [one for one in pipelines if any(runs_tests(script, hollow) for script in one.scripts)]
    guarding = [one for one in testing if one.on_change]
    linting = [one for one in pipelines if any(runs_linter(script) for script in one.scripts)]
    uses = [use for one in pipelines for use in one.uses]
    loose = sorted({use for use in uses if not _PINNED.search(use)})
    return {
        "ci.tests_changes": found(
            bool(guarding),
            systems=sorted({one.system for one in pipelines}),
            files=len(pipelines),
            on_change=sum(one.on_change for one in pipelines),
            run_tests=[show(one.path) for one in testing[:20]],
        ),
        "ci.lints": found(bool(linting)),
        "ci.pinned": found(bool(pipelines) and not loose, used=len(uses), loose=[show(use) for use in loose[:20]]),
    }


def deploys(pipelines: list[Pipeline]) -> list[str]:
    """Returns the pipelines that put something into operation."""
    return [one.path for one in pipelines if any(_DEPLOYS.search(script) for script in one.scripts)]
