"""`./manage.py blueprint`, as a person at a shell uses it: output and exit codes."""

import json
from io import StringIO

import pytest
import yaml
from django.core.management import CommandError, call_command

from blueprints.format.schema import json_schema
from blueprints.versions import digest_of
from portal.bench.blueprints import document, measure
from tests.unit.blueprints.samples import FILES, sample


def run(*words):
    """Returns exit code and standard output."""
    out = StringIO()
    try:
        call_command("blueprint", *map(str, words), stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def saved(tmp_path):
    def save(name, document):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    return save


def fork_of(base, turns=10):
    return {
        "overlay": 1,
        "document": {**base["document"], "namespace": "team.mango"},
        "base": {"ref": "platform/implement-ticket-brownfield@1.0.0", "digest": digest_of(base)},
        "operations": [
            {"op": "set_field", "path": "/nodes/plan/max_turns", "value": turns, "reason": "Small tickets."}
        ],
    }


def test_lint_says_ok():
    code, out = run("lint", *FILES)
    assert code == 0
    assert out.count(": ok\n") == len(FILES)


def test_lint_says_where_and_what_to_do(saved):
    document = sample()
    document["needs"]["shell"] = False
    code, out = run("lint", "--json", saved("b.yaml", document))
    assert code == 1
    (finding,) = json.loads(out)[0]["findings"]
    assert (finding["code"], finding["path"], finding["remedy"]) == (
        "NEEDS_UNDERDECLARED",
        "/needs/shell",
        "Write `shell: true`.",
    )
    assert finding["line"] > 0


def test_a_file_that_is_not_there_is_another_exit_code(tmp_path):
    assert run("lint", tmp_path / "gone.yaml")[0] == 2
    assert run("compile", tmp_path)[0] == 2


def test_what_is_not_yaml_is_a_finding(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text("a: [1\n")
    assert run("lint", path)[0] == 1
    assert "NOT_YAML" in run("lint", path)[1]
    assert run("compile", path)[0] == 1


def test_diff_gives_the_two_numbers_and_the_conflict(saved):
    base, head = sample(), sample()
    head["nodes"][2]["max_turns"] = 25
    files = saved("base.yaml", base), saved("head.yaml", head), saved("fork.yaml", fork_of(base))
    code, out = run("diff", *files)
    assert code == 1
    assert "CONFLICT  /nodes/plan/max_turns" in out
    assert "behind 1, drift 1, conflicts 1" in out
    shown = json.loads(run("diff", "--json", *files)[1])
    assert (shown["behind"], shown["drift"], shown["changes"][0]["fork"]) == (1, 1, 10)
    assert run("diff", files[0], files[1]) == (0, "upstream  /nodes/plan/max_turns\nbehind 1\n")


def test_compile_is_the_same_each_time_and_pins_the_base(saved):
    base = sample()
    file, fork = saved("base.yaml", base), saved("fork.yaml", fork_of(base))
    code, out = run("compile", file)
    assert code == 0
    lock = json.loads(out)
    assert (lock["ref"], lock["digest"]) == ("platform/implement-ticket-brownfield@1.0.0", digest_of(base))
    assert lock["nodes"][0]["id"] == "read_ticket"
    assert lock["needs"]["filesystem"] == "repo-rw"
    assert run("compile", file)[1] == out
    forked = json.loads(run("compile", fork, "--base", file)[1])
    assert forked["base"] == {"ref": lock["ref"], "digest": lock["digest"]}
    assert forked["lock_digest"] != lock["lock_digest"]


def test_an_overlay_on_another_base_is_refused(saved):
    base = sample()
    fork = saved("fork.yaml", fork_of(base))
    base["budget"]["tokens"] += 1
    assert run("compile", fork, "--base", saved("other.yaml", base))[0] == 2
    assert run("compile", fork)[0] == 2


def test_a_fork_that_is_not_sound_is_not_compiled(saved):
    base = sample()
    code, out = run("compile", saved("fork.yaml", fork_of(base, turns=200)), "--base", saved("base.yaml", base))
    assert code == 1
    assert "OVER_BUDGET" in out


def test_schema_prints_the_schema():
    assert json.loads(run("schema")[1]) == json_schema()


def test_the_bench_measures_what_it_says():
    report = measure(quick=True)
    assert {"lint, YAML text", "keyed difference of three"} <= {figure.name for figure in report.figures}
    assert len(document()["nodes"]) == 60
