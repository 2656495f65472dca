"""`./manage.py blueprint publish|fork|show`: files become versions and forks, and files again."""

import json
from io import StringIO

import pytest
import yaml
from django.core.management import CommandError, call_command

from audit.models import Event
from blueprints.format.reading import read_yaml
from blueprints.models import Blueprint, Fork, Version
from blueprints.services import forking
from tests.actors import fresh, make_cast
from tests.apps.blueprints.estate import as_text, document_of, next_of, node, prompt, publish, set_turns
from tests.unit.blueprints.samples import FILES

pytestmark = pytest.mark.django_db

REF = "platform/implement-ticket-brownfield"


@pytest.fixture(scope="module")
def made(module_rows):
    return make_cast()


@pytest.fixture
def cast(made, db):
    return fresh(made)


@pytest.fixture
def run(cast, as_role):
    """Returns a function: words -> exit code, what it printed, what it said beside. Acts in the role of the portal."""

    def act(*words):
        out, err = StringIO(), StringIO()
        try:
            with as_role("hanse_app"):
                call_command("blueprint", *map(str, words), stdout=out, stderr=err)
        except CommandError as error:
            return error.returncode, out.getvalue(), err.getvalue() + str(error)
        return 0, out.getvalue(), err.getvalue()

    return act


@pytest.fixture
def saved(tmp_path):
    def save(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return save


def test_the_whole_library_is_published(run):
    for file in FILES:
        owner = read_yaml(file.read_bytes()).value["document"]["owner"]
        code, out, said = run("publish", file, "--owner", owner)
        assert code == 0, said
        assert out.startswith(f"published {'platform' if owner == 'platform' else f'domain.{owner}'}/{file.stem}@")
    assert Version.objects.filter(status="published").count() == len(FILES)


def test_a_file_is_published_as_the_installation(run, cast, saved):
    code, out, _ = run(
        "publish", saved("b.yaml", as_text(document_of(cast.team))), "--owner", "ledger", "--note", "Ours."
    )
    version = Version.objects.get()
    assert (code, out) == (0, f"published team.ledger/implement-ticket-brownfield@1.0.0 {version.digest}\n")
    assert (version.status, version.note, version.proposed_by, version.decided_by) == ("published", "Ours.", None, None)
    verbs = Event.objects.filter(object=version.ref).order_by("pk").values_list("verb", "person")
    assert list(verbs) == [("blueprints.version.proposed", None), ("blueprints.version.published", None)]


def test_a_version_is_shown_as_it_was_written(run, cast, saved):
    version = publish(cast.platform, document_of(cast.platform))
    later = next_of(version.blueprint, "1.1.0", lambda it: node(it, "plan").update(minutes=25))
    run("publish", saved("b.yaml", "# What we do with tickets.\n" + as_text(later)), "--owner", "platform")
    code, out, _ = run("show", REF)
    assert code == 0
    assert out.startswith(f"# {REF}@1.1.0 (published), sha256:")
    assert "\n# What we do with tickets.\n" in out
    assert read_yaml(out).value == later
    assert read_yaml(run("show", f"{REF}@1.0.0")[1]).value == version.document
    shown = json.loads(run("show", f"{REF}@1.0.0", "--json")[1])
    assert (shown["ref"], shown["digest"], shown["document"]) == (version.ref, version.digest, version.document)


def test_a_fork_is_made_shown_as_an_overlay_and_compiled_to_what_is_stored(run, cast, saved):
    publish(cast.platform, document_of(cast.platform))
    code, out, _ = run("fork", REF, "--team", "ledger", "--name", "ours", "--title", "Our way")
    assert (code, out) == (0, f"forked {REF}@1.0.0 as team.ledger/ours, behind 0\n")
    fork = Fork.objects.get()
    assert (fork.title, fork.created_by) == ("Our way", None)
    operations = [set_turns("implement", 40), prompt("plan", "Ours:\n- a\n- b\n")]
    fork = forking.change_fork(actor=cast.lead, fork=fork, operations=operations)
    overlay = run("show", "ledger/ours")[1]
    assert overlay.startswith("# team.ledger/ours (overlay, active): behind 0, drift 2, conflicts 0\noverlay: 1\n")
    assert yaml.safe_load(overlay)["operations"] == operations
    base = saved("base.yaml", run("show", REF)[1])
    code, lock, _ = run("compile", saved("ours.yaml", overlay), "--base", base)
    assert (code, json.loads(lock)["digest"]) == (0, fork.digest)
    shown = json.loads(run("show", "ledger/ours", "--json")[1])
    assert (shown["drift"], shown["operations"], shown["document"]) == (2, operations, fork.document)


def test_a_fork_of_an_older_version_says_how_far_behind_it_is(run, cast):
    version = publish(cast.platform, document_of(cast.platform))
    publish(cast.platform, next_of(version.blueprint, "1.1.0", lambda it: node(it, "plan").update(minutes=25)))
    made = json.loads(run("fork", f"{REF}@1.0.0", "--team", "ledger", "--name", "ours", "--json")[1])
    assert (made["base"], made["measured"], made["behind"], made["title"]) == (
        "1.0.0",
        "1.1.0",
        1,
        version.blueprint.title,
    )


def test_an_unsound_file_is_told_with_its_lines_and_publishes_nothing(run, cast, saved):
    text = as_text(document_of(cast.platform)).replace("minutes: 20", "minutes: 9999")
    path = saved("b.yaml", text)
    code, out, said = run("publish", path, "--owner", "platform")
    line = text.splitlines().index("  minutes: 9999") + 1
    assert (code, out) == (1, "")
    assert f"{path}:{line}:3: error: 9999 is out of bounds. [RANGE /nodes/1/minutes]" in said
    code, out, _ = run("publish", path, "--owner", "platform", "--json")
    assert code == 1
    assert {finding["code"] for finding in json.loads(out)["findings"]} == {"RANGE"}
    assert not Blueprint.objects.exists()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"", b"a: [1", b"x" * 300_000, b'a: "\\0"', "\u00e9".encode() * 131_073]
)
def test_what_is_no_blueprint_ends_with_one(run, saved, content):
    code, _, said = run("publish", saved("b.yaml", content), "--owner", "platform")
    assert code == 1
    assert "error:" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "gone.yaml", "--owner", "platform"), "gone.yaml"),
        (("fork", REF, "--team", "nobody", "--name", "x"), "There is no such tenant"),
        (("fork", "platform/nothing", "--team", "ledger", "--name", "x"), "There is no such blueprint"),
        (("fork", "nothing", "--team", "ledger", "--name", "x"), "That is no reference"),
        (("fork", f"{REF}@9.9.9", "--team", "ledger", "--name", "x"), "There is no such version"),
        (("fork", REF, "--team", "payments", "--name", "x"), "A team forks."),
        (("fork", REF, "--team", "ledger", "--name", "No slug"), "hyphens"),
        (("show", "ledger/nothing"), "There is no such fork"),
        (("show", "nothing"), "There is no such fork"),
        (("show", f"{REF}@9.9.9"), "There is no such version"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_two(run, cast, words, said):
    publish(cast.platform, document_of(cast.platform))
    code, out, told = run(*words)
    assert (code, out) == (2, "")
    assert said in told
    assert "\n" not in told


def test_what_is_published_already_is_a_conflict_and_exit_code_two(run, cast, saved):
    path = saved("b.yaml", as_text(document_of(cast.platform)))
    assert run("publish", path, "--owner", "platform")[0] == 0
    code, _, said = run("publish", path, "--owner", "platform")
    assert (code, said) == (2, "The head is 1.0.0; 1.0.0 is not above it.")
    code, _, said = run("publish", path, "--owner", "ledger")
    assert code == 2
    assert "`owner` in the header must be 'ledger'." in said
    assert Version.objects.count() == 1


def test_a_draft_has_nothing_to_show_yet(run, cast):
    Blueprint.objects.create(owner=cast.platform, name="draft", title="D", summary="D", pattern="either")
    code, _, said = run("show", "platform/draft")
    assert (code, said) == (2, "platform/draft has no published version yet.")
