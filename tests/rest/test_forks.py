"""Forks over REST: made, compared, changed, moved, retired; and what is sent by who means no good."""

import pytest

from blueprints.models import Fork
from tests.apps.blueprints.estate import as_text, document_of, next_of, node, prompt, publish, set_turns
from tests.unit.blueprints.samples import sample

pytestmark = pytest.mark.django_db

REF = "team.ledger/implement-ticket-brownfield"
FORK = "forks/ledger/ledger-fork"


def made_of(call, **body):
    return call("member", "POST", "forks", {"blueprint": REF, "team": "ledger", "name": "new", **body})


def publish_next(world, semver="1.2.0", **fields):
    return publish(
        world.own.team, next_of(world.own.blueprint, semver, lambda it: node(it, "implement").update(fields))
    )


def test_a_fork_is_made_of_operations(call, world):
    answer = made_of(call, title="Ours", operations=[set_turns("plan", 20)])
    assert answer.status_code == 201, answer.content
    assert answer["Location"] == "/api/v1/forks/ledger/new"
    told = answer.json()
    assert (told["ref"], told["title"], told["base"], told["measured"]) == ("team.ledger/new", "Ours", "1.0.0", "1.0.0")
    assert (told["drift"], told["behind"], told["conflicts"]) == (1, 0, 0)
    assert told["operations"] == [set_turns("plan", 20)]
    assert node(told["document"], "plan")["max_turns"] == 20
    assert (told["is_configuration_at_heart"], told["kept_by_policy"]) == (True, [])
    read = call("reviewer", "GET", "forks/ledger/new")
    assert (read.json(), read["ETag"]) == (told, answer["ETag"])


def test_a_fork_of_a_named_version_is_measured_against_the_head(call, world):
    publish_next(world, max_turns=30)
    answer = made_of(call, blueprint=f"{REF}@1.0.0")
    assert (answer.json()["base"], answer.json()["measured"], answer.json()["behind"]) == ("1.0.0", "1.2.0", 1)
    assert made_of(call, blueprint=f"{REF}@1.1.0", name="other").status_code == 409, "that one is not published"


def test_a_full_copy_becomes_operations_with_the_reason_given(call, world):
    document = document_of(world.own.team)
    node(document, "plan")["max_turns"] = 20
    answer = made_of(call, text=as_text(document), reason="Copied from our wiki.")
    assert answer.status_code == 201, answer.content
    assert answer.json()["operations"] == [set_turns("plan", 20, "Copied from our wiki.")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"text": "a: 1"}, "/reason"),
        ({"text": "a: 1", "reason": "x", "operations": []}, "/text"),
        ({"operations": [], "reason": "Each has its own."}, "/reason"),
        ({"text": "a: 1", "reason": "Ours.", "title": "T"}, "/title"),
        ({"blueprint": "nowhere"}, "/blueprint"),
        ({"blueprint": "team.rival/implement-ticket-brownfield"}, "/blueprint"),
        ({"team": "rival"}, "/team"),
        ({"team": "payments"}, "/team"),
        ({"name": "Not a slug"}, "/name"),
        ({"text": "a: 1", "reason": "Ours."}, "/text"),
        ({"operations": [{"op": "no_such"}]}, "/operations"),
        ({"mode": "detached"}, "/mode"),
    ],
)
def test_what_cannot_be_forked_is_told_at_its_field(call, body, pointer):
    answer = made_of(call, **body)
    assert answer.status_code == 422
    assert {item["pointer"] for item in answer.json()["errors"]} == {pointer}
    assert not Fork.objects.filter(name="new").exists()


def test_a_fork_that_proves_less_is_told_what_is_missing(call):
    answer = made_of(
        call, operations=[{"op": "set_field", "path": "/goal/checks", "value": ["tests"], "reason": "Quick."}]
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unsound")
    assert "GOAL_WEAKENED" in {one["code"] for one in answer.json()["findings"]}
    assert {item["pointer"] for item in answer.json()["errors"]} == {"/operations"}


def test_a_rebase_waits_for_every_choice_and_then_moves(call, world):
    publish_next(world, max_turns=38, minutes=35)
    told = call("member", "GET", f"{FORK}/difference").json()
    assert (told["behind"], told["drift"], told["conflicts"]) == (1, 2, 1)
    assert (told["base"], told["head"]) == (f"{REF}@1.0.0", f"{REF}@1.2.0")
    states = {one["path"]: (one["state"], one.get("base"), one.get("head"), one.get("fork")) for one in told["changes"]}
    assert states["/nodes/implement/max_turns"] == ("conflict", 50, 38, 40)
    assert states["/nodes/plan/prompt"][0] == "fork-only"
    tag = call("member", "GET", FORK)["ETag"]
    waiting = call("member", "POST", f"{FORK}/rebase", {}, If_Match=tag)
    assert (waiting.status_code, waiting.json()["code"]) == (409, "unresolved")
    assert [one["path"] for one in waiting.json()["conflicts"]] == ["/nodes/implement/max_turns"]
    unknown = call("member", "POST", f"{FORK}/rebase", {"choices": {"/nodes/x": "fork"}}, If_Match=tag)
    assert unknown.json()["unknown"] == ["/nodes/x"]
    choices = {"/nodes/implement/max_turns": "fork"}
    moved = call("member", "POST", f"{FORK}/rebase", {"choices": choices, "onto": "head"}, If_Match=tag)
    assert moved.status_code == 200, moved.content
    assert (moved.json()["base"], moved.json()["behind"], moved.json()["drift"]) == ("1.2.0", 0, 2)
    assert node(moved.json()["document"], "implement")["minutes"] == 35
    assert call("lead", "POST", f"{FORK}/rebase", {"choices": choices}, If_Match=tag).status_code == 412


def test_a_fork_is_changed_whole_by_operations_or_by_its_text(call, world):
    tag = call("member", "GET", FORK)["ETag"]
    changed = call("member", "PATCH", FORK, {"operations": [set_turns("plan", 20)]}, If_Match=tag)
    assert (changed.status_code, changed.json()["drift"]) == (200, 1)
    document = changed.json()["document"]
    node(document, "implement")["max_turns"] = 35
    edited = call("lead", "PATCH", FORK, {"text": as_text(document), "reason": "More of it."}, If_Match=changed["ETag"])
    assert edited.status_code == 200, edited.content
    reasons = {one["path"]: one["reason"] for one in edited.json()["operations"]}
    assert reasons == {"/nodes/plan/max_turns": "Ours is larger.", "/nodes/implement/max_turns": "More of it."}
    assert call("lead", "PATCH", FORK, {}, If_Match="*").json()["errors"][0]["pointer"] == "/operations"


def test_a_configuration_follows_and_a_retired_fork_stays_to_be_read(call, world):
    call("lead", "PATCH", FORK, {"operations": [set_turns("plan", 20)]}, If_Match="*")
    made = call("lead", "POST", f"{FORK}/configure", If_Match="*")
    assert (made.status_code, made.json()["mode"]) == (200, "configuration")
    publish_next(world, max_turns=38)
    followed = call("lead", "GET", FORK).json()
    assert (followed["base"], followed["behind"]) == ("1.2.0", 0)
    gone = call("member", "POST", f"{FORK}/retire", {"reason": "Upstream has it."}, If_Match="*")
    assert (gone.json()["status"], gone.json()["status_reason"]) == ("retired", "Upstream has it.")
    assert call("member", "PATCH", FORK, {"operations": []}, If_Match="*").status_code == 409
    items = call("reviewer", "GET", f"{FORK}/changes").json()["items"]
    assert [(one["reason"], one["base"], one["mode"]) for one in items] == [
        ("Upstream has it.", "1.2.0", "configuration"),
        (f"followed {REF}@1.2.0", "1.2.0", "configuration"),
        ("made a configuration", "1.0.0", "configuration"),
        ("changed", "1.0.0", "overlay"),
        (f"forked {REF}@1.0.0", "1.0.0", "overlay"),
    ]
    assert [one["by"] and one["by"]["handle"] for one in items] == ["member", None, "lead", "lead", "member"]


def test_a_request_names_what_the_fork_changes(call, world):
    body = {"targets": ["/nodes/implement/max_turns"], "title": "More turns", "note": "Tickets grew."}
    made = call("lead", "POST", f"{FORK}/requests", body)
    assert (made.status_code, made.json()["status"], made.json()["owner"]["slug"]) == (201, "open", "ledger")
    assert len(call("reviewer", "GET", f"{FORK}/requests").json()["items"]) == 2
    for targets in ([], ["/nodes/nowhere"], ["nodes"], [""], ["\ud83d\ude00"]):
        answer = call("lead", "POST", f"{FORK}/requests", {**body, "targets": targets})
        assert answer.status_code == 422
        assert {item["pointer"].rpartition("/0")[0] or item["pointer"] for item in answer.json()["errors"]} == {
            "/targets"
        }


def test_a_fork_of_another_team_looks_like_none(call, world):
    theirs, none = "forks/rival/rival-fork", "forks/rival/nothing"
    for method, suffix, body in (
        ("GET", "", None), ("GET", "/difference", None), ("GET", "/changes", None), ("GET", "/requests", None),
        ("PATCH", "", {"operations": []}), ("POST", "/rebase", {}), ("POST", "/configure", None),
        ("POST", "/retire", {"reason": "x"}), ("POST", "/requests", {"targets": ["/a"], "title": "T"}),
    ):  # fmt: skip
        answers = [call("lead", method, path + suffix, body, If_Match="*") for path in (theirs, none)]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].content == answers[1].content


# What is wrong with a whole document; each is refused below 500, in bounded time, and nothing is kept.
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))  # fmt: skip
TEXTS = {
    "a YAML bomb": BOMB,
    "deep nesting": "[" * 5_000 + "]" * 5_000,
    "deep mappings": "".join(" " * n + "a:\n" for n in range(400)),
    "many values": "a: [" + "1," * 60_000 + "]",
    "a tag": "!!python/object/apply:os.system ['true']",
    "a merge": "a: &a {b: 1}\nc: {<<: *a}",
    "two documents": "a: 1\n---\na: 2",
    "a key twice": "blueprint: 1\nblueprint: 1",
    "an escaped surrogate": 'a: "\\ud800"',
    "an escaped NUL": 'a: "\\0"',
    "a long number": "a: " + "9" * 100_000,
    "infinity": "a: .inf",
    "a binary": "a: !!binary aGVsbG8=",
    "a list": "- 1",
    "a word": "yes",
    "a bell": "a: \a",
    "a wide space": "\u2028\u2029",
    "an anchor without end": "a: &",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_refused_with_findings(call, name):
    for method, path, body in (
        ("POST", "forks", {"blueprint": REF, "team": "ledger", "name": "new", "reason": "Ours."}),
        ("POST", f"blueprints/{REF}/versions", {"note": "Words."}),
        ("PATCH", FORK, {"reason": "Ours."}),
        ("POST", "blueprints/lint", {}),
    ):
        answer = call("member", method, path, {**body, "text": TEXTS[name]}, If_Match="*")
        told = answer.json()
        assert answer.status_code == (200 if path.endswith("lint") else 422), (path, told)
        assert told["findings"], (path, told)
        assert {finding["severity"] for finding in told["findings"]} >= {"error"}
        assert len(answer.content) < 200_000
    assert not Fork.objects.filter(name="new").exists()


def sound_but(change):
    document = sample()
    document["document"] |= {"namespace": "team.ledger", "owner": "ledger", "version": "1.5.0"}
    change(document)
    return document


NUL = "a\0b"
STRANGE = {
    "NUL in a goal": lambda it: it["goal"].update(statement=NUL),
    "NUL in a key": lambda it: it["inputs"].update({NUL: {"type": "text", "title": "T"}}),
    "NUL in an argument": lambda it: node(it, "read_ticket")["arguments"].update({NUL: "inputs.ticket"}),
    "NUL in a prompt": lambda it: node(it, "plan").update(prompt=NUL),
    "NUL in a command": lambda it: it["checks"][0].update(command=["make", NUL]),
    "NUL in a default": lambda it: it["inputs"]["ticket"].update(default=NUL),
    "a huge number": lambda it: it["document"].update(version="9" * 60 + ".0.0"),
    "an endless pre-release": lambda it: it["document"].update(version="1.0.0-" + "a." * 200 + "a"),
    "a number that is none": lambda it: it["document"].update(version="1"),
    "another namespace": lambda it: it["document"].update(namespace="user.ledger"),
    "a namespace with a break": lambda it: it["document"].update(namespace="team.ledger\n"),
    "another team": lambda it: it["document"].update(namespace="team.rival", owner="rival"),
    "a name with a slash": lambda it: it["document"].update(name="a/b"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_document_is_refused_or_stored_as_it_is(call, name):
    text = as_text(sound_but(STRANGE[name]))
    answer = call("member", "POST", f"blueprints/{REF}/versions", {"text": text, "note": "Words."})
    assert answer.status_code == 422, answer.content
    assert answer.json()["code"] in {"unsound", "invalid"}
    assert answer.json()["errors"][0]["pointer"] == "/text"


OPERATIONS = {
    "ten thousand": [set_turns("plan", 20)] * 10_000,
    "501": [set_turns("plan", 20)] * 501,
    "a text": "all of them",
    "texts": ["set_field"],
    "lists": [[]],
    "null": [None],
    "without a reason": [{"op": "set_field", "path": "/nodes/plan/max_turns", "value": 20}],
    "an unknown field": [{**set_turns("plan", 20), "extra": 1}],
    "NUL in a value": [{**set_turns("plan", 20), "path": "/goal/statement", "value": NUL}],
    "NUL in a path": [{**set_turns("plan", 20), "path": f"/inputs/{NUL}", "value": {"type": "text", "title": "T"}}],
    "NUL in a reason": [set_turns("plan", 20, "Because\0of it.")],
    "NUL in a prompt": [prompt("plan", NUL)],
    "a huge value": [{**set_turns("plan", 20), "value": 10**400}],
    "a deep value": [{**set_turns("plan", 20), "value": {"a": {"b": {"c": [[[[[[1]]]]]]}}}}],
    "the header": [{**set_turns("plan", 20), "path": "/document/owner", "value": "rival"}],
    "the whole": [{**set_turns("plan", 20), "path": "/nodes", "value": []}],
    "no path": [{**set_turns("plan", 20), "path": ""}],
    "a wrong escape": [{**set_turns("plan", 20), "path": "/nodes/~2"}],
    "a path of slashes": [{**set_turns("plan", 20), "path": "/" * 400}],
    "an item twice": [{"op": "add_check", "item": {"id": "tests", "title": "T", "sensor": "computational"}, "reason": "More."}] * 2,
    "after itself": [{"op": "move_node", "key": "plan", "after": "plan", "reason": "Round and round."}],
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_hostile_operations_are_refused_and_nothing_is_kept(call, name):
    for method, path, body in (
        ("POST", "forks", {"blueprint": REF, "team": "ledger", "name": "new"}),
        ("PATCH", FORK, {}),
    ):
        answer = call("member", method, path, {**body, "operations": OPERATIONS[name]}, If_Match="*")
        assert answer.status_code in {413, 422}, answer.content[:500]
        assert answer["Content-Type"] == "application/problem+json"
        if answer.status_code == 422:
            assert all(item["pointer"].startswith("/operations") for item in answer.json()["errors"]), answer.content
    assert not Fork.objects.filter(name="new").exists()
    assert call("member", "GET", FORK).json()["version"] == 1


@pytest.mark.parametrize("choices", [{"/a": "mine"}, {"/a": 1}, {"/a": None}, ["/a"], "fork", {"/a": {"fork": 1}}])
def test_choices_that_are_none(call, choices):
    answer = call("member", "POST", f"{FORK}/rebase", {"choices": choices}, If_Match="*")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/choices")


def test_a_body_with_a_lone_surrogate_is_no_json(world, as_role):
    body = b'{"text": "a: \\ud800"}'
    with as_role("hanse_app"):
        for path in ("blueprints/lint", "forks"):
            answer = world.clients["lead"].generic("POST", f"/api/v1/{path}", body, content_type="application/json")
            assert answer.status_code == 400


def test_a_filter_by_blueprint_must_be_a_reference(call):
    for value in ("x", "platform/", f"{REF}@1.0.0", "%00", "team/x", "a" * 90 + "/b"):
        answer = call("lead", "GET", f"forks?blueprint={value}")
        assert answer.status_code == 422, value
        assert [item["pointer"] for item in answer.json()["errors"]] == ["?blueprint"]
