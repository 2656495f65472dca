"""Blueprints, versions and change requests over REST: what one does with them, and what is answered."""

import pytest

from blueprints.models import Blueprint, Version
from blueprints.services import forking
from tests.apps.blueprints.estate import as_text, document_of, next_of, node, publish, set_turns

pytestmark = pytest.mark.django_db

REF = "team.ledger/implement-ticket-brownfield"
PATH = f"blueprints/{REF}"


def text_of(blueprint, semver, **plan):
    return as_text(next_of(blueprint, semver, lambda it: node(it, "plan").update(plan)))


def test_a_version_is_proposed_by_one_compared_and_published_by_another(call, world):
    text = text_of(world.own.blueprint, "1.2.0", minutes=18, max_turns=20)
    made = call("member", "POST", f"{PATH}/versions", {"text": text, "note": "Less."})
    assert made.status_code == 201, made.content
    assert made["Location"] == f"/api/v1/{PATH}/versions/1.2.0"
    told = call("lead", "GET", f"{PATH}/versions/1.2.0/diff").json()
    assert (told["against"], told["version"], told["changed"]) == (f"{REF}@1.0.0", f"{REF}@1.2.0", 1)
    assert [(one["path"], one["unit"], one["head"]) for one in told["changes"]] == [
        ("/nodes/plan/minutes", "/nodes/plan", 18),
        ("/nodes/plan/max_turns", "/nodes/plan", 20),
    ]
    published = call("lead", "POST", f"{PATH}/versions/1.2.0/publish", {"reason": "Good."}, If_Match=made["ETag"])
    assert (published.status_code, published.json()["status"]) == (200, "published")
    assert call("lead", "GET", PATH).json()["head"] == "1.2.0"
    read = call("reviewer", "GET", f"{PATH}/versions/1.2.0").json()
    assert (read["text"], read["lock"]["ref"], read["note"]) == (text, f"{REF}@1.2.0", "Less.")
    assert read["lock"]["digest"] == read["digest"]
    assert (read["proposed_by"]["handle"], read["decided_by"]["handle"]) == ("member", "lead")
    assert call("lead", "GET", "forks/ledger/ledger-fork").json()["behind"] == 1


def test_the_first_version_of_a_name_makes_the_blueprint(call, world):
    text = as_text(document_of(world.cast.team, "code-review"))
    made = call("member", "POST", "blueprints/team.ledger/code-review/versions", {"text": text, "note": "New."})
    assert made.status_code == 201
    told = call("member", "GET", "blueprints/team.ledger/code-review").json()
    assert (told["status"], told["head"], told["ref"]) == ("draft", None, "team.ledger/code-review")
    first = call("member", "GET", "blueprints/team.ledger/code-review/versions/1.0.0/diff").json()
    assert (first["against"], first["changed"], first["changes"]) == (None, 0, [])


def test_the_header_names_what_the_address_names(call, world):
    for path in ("blueprints/team.ledger/other/versions", "blueprints/platform/implement-ticket-brownfield/versions"):
        who = "admin" if "platform" in path else "member"
        text = text_of(world.own.blueprint, "1.2.0", minutes=18)
        answer = call(who, "POST", path, {"text": text, "note": "Less."})
        assert answer.status_code == 422
        assert {item["pointer"] for item in answer.json()["errors"]} == {"/text"}
        assert "in the header must be" in answer.json()["errors"][0]["detail"]
    assert not Blueprint.objects.filter(name="other").exists()


def test_nobody_publishes_their_own(call, world):
    text = text_of(world.own.blueprint, "1.2.0", minutes=18)
    made = call("lead", "POST", f"{PATH}/versions", {"text": text, "note": "Less."})
    answer = call("lead", "POST", f"{PATH}/versions/1.2.0/publish", {}, If_Match=made["ETag"])
    assert (answer.status_code, answer.json()["missing"]) == (403, "review by somebody else")


def test_a_number_below_the_head_or_taken_is_a_conflict_with_a_code(call, world):
    for semver, minutes, code in (("1.0.0", 18, "version_not_newer"), ("1.1.0", 18, "version_taken")):
        text = text_of(world.own.blueprint, semver, minutes=minutes)
        answer = call("member", "POST", f"{PATH}/versions", {"text": text, "note": "Less."})
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    answer = call("member", "POST", f"{PATH}/versions", {"text": text_of(world.own.blueprint, "1.2.0"), "note": "No."})
    assert answer.json()["code"] == "unchanged"


def test_what_is_not_sound_is_told_with_every_finding(call, world):
    text = text_of(world.own.blueprint, "1.2.0", minutes=9_999)
    answer = call("member", "POST", f"{PATH}/versions", {"text": text, "note": "More."})
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    body = answer.json()
    assert body["code"] == "unsound"
    (finding,) = body["findings"]
    assert (finding["code"], finding["path"]) == ("RANGE", "/nodes/2/minutes")
    assert text.splitlines()[finding["line"] - 1].strip() == "minutes: 9999"
    assert finding["remedy"] == "Choose 1 to 1440."
    assert {item["pointer"] for item in body["errors"]} == {"/text"}


def test_a_proposal_sent_twice_with_one_key_is_one(call, world):
    body = {"text": text_of(world.own.blueprint, "1.2.0", minutes=18), "note": "Less."}
    first = call("member", "POST", f"{PATH}/versions", body, Idempotency_Key="k")
    again = call("member", "POST", f"{PATH}/versions", body, Idempotency_Key="k")
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
    assert again.json() == first.json()
    assert Version.objects.filter(semver="1.2.0").count() == 1


def test_lint_answers_200_whatever_is_wrong(call, world):
    sound = call("stranger", "POST", "blueprints/lint", {"text": text_of(world.own.blueprint, "1.2.0")})
    assert (sound.status_code, sound.json()) == (200, {"ok": True, "findings": []})
    for text, code in {"a: [1": "NOT_YAML", "": "EMPTY", "a: &x 1": "ALIAS", "blueprint: 1": "MISSING"}.items():
        body = {"text": text} if text else {"text": "\n"}
        answer = call("stranger", "POST", "blueprints/lint", body)
        assert answer.status_code == 200
        assert not answer.json()["ok"]
        assert code in {finding["code"] for finding in answer.json()["findings"]}


def test_a_preview_says_what_each_fork_would_be_and_keeps_nothing(call, world):
    configuration = forking.fork_blueprint(
        actor=world.cast.lead,
        version=Version.objects.get(pk=world.own.blueprint.head_id),
        team=world.own.team,
        name="second",
        operations=[set_turns("plan", 20)],
    )
    text = text_of(world.own.blueprint, "2.0.0", minutes=18, max_turns=22)
    answer = call("reviewer", "POST", f"{PATH}/preview", {"text": text})
    assert answer.status_code == 200, answer.content
    effects = {one["name"]: one for one in answer.json()["effects"]}
    assert (effects["ledger-fork"]["behind"], effects["ledger-fork"]["conflicts"]) == (1, [])
    assert effects["second"]["conflicts"] == ["/nodes/plan/max_turns"]
    assert answer.json()["left_out"] == 0
    configuration.refresh_from_db()
    assert configuration.behind == 0
    assert call("lead", "POST", f"{PATH}/preview", {"text": "a: 1"}).json()["code"] == "unsound"


def test_previews_are_few(call, world):
    statuses = [call("lead", "POST", f"{PATH}/preview", {"text": "a: 1"}).status_code for _ in range(8)]
    assert set(statuses) == {422, 429}


def test_a_deprecated_blueprint_names_its_successor_and_takes_no_fork(call, world):
    follower = publish(world.cast.platform, document_of(world.cast.platform, "code-review"))
    body = {"reason": "Replaced.", "successor": "platform/code-review"}
    answer = call("lead", "POST", f"{PATH}/deprecate", body, If_Match="*")
    assert (answer.status_code, answer.json()["status"]) == (200, "deprecated")
    assert call("member", "GET", PATH).json()["successor"] == {
        "ref": "platform/code-review",
        "title": follower.blueprint.title,
    }
    refused = call("member", "POST", "forks", {"blueprint": REF, "team": "ledger", "name": "late"})
    assert (refused.status_code, refused.json()["successor"]) == (409, "platform/code-review")
    moved = call("member", "GET", "forks/ledger/ledger-fork/difference?onto=successor").json()
    assert moved["head"] == "platform/code-review@1.0.0"
    restored = call("lead", "POST", f"{PATH}/restore", If_Match=answer["ETag"])
    assert (restored.json()["status"], restored.json()["successor"]) == ("active", None)


def test_a_successor_is_named_to_who_may_see_it_alone(call, world):
    publish(world.cast.platform, document_of(world.cast.platform, "code-review"))
    path, body = "blueprints/platform/code-review", {"reason": "Replaced.", "successor": REF}
    assert call("admin", "POST", f"{path}/deprecate", body, If_Match="*").status_code == 200
    assert call("member", "GET", path).json()["successor"]["ref"] == REF
    assert call("outsider", "GET", path).json()["successor"] is None


@pytest.mark.parametrize(
    "successor", ["nowhere", "platform/nothing", "team.rival/implement-ticket-brownfield", f"{REF}@1.0.0", REF]
)
def test_a_successor_that_cannot_be(call, successor):
    answer = call("lead", "POST", f"{PATH}/deprecate", {"reason": "x", "successor": successor}, If_Match="*")
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == ["/successor"]


def test_a_family_is_the_same_change_in_several_forks(call, world):
    forking.fork_blueprint(
        actor=world.cast.lead,
        version=Version.objects.get(pk=world.own.blueprint.head_id),
        team=world.own.team,
        name="second",
        operations=[set_turns("implement", 40, "For another reason.")],
    )
    (family,) = call("steward", "GET", f"{PATH}/families").json()["families"]
    assert family["operation"] == {"op": "set_field", "path": "/nodes/implement/max_turns", "value": 40}
    assert family["forks"] == ["team.ledger/ledger-fork", "team.ledger/second"]


def test_a_list_counts_the_forks_that_one_sees(call, world):
    seen = {row["ref"]: row["fork_count"] for row in call("lead", "GET", "blueprints").json()["items"]}
    assert seen == {REF: 1}
    assert len(call("admin", "GET", "blueprints").json()["items"]) == 2
    assert call("stranger", "GET", "blueprints").json()["items"] == []


def test_the_changes_of_a_blueprint_are_its_history(call):
    items = call("reviewer", "GET", f"{PATH}/changes").json()["items"]
    assert [(one["status"], one["head"], one["reason"]) for one in items] == [
        ("active", "1.0.0", "published 1.0.0"),
        ("draft", None, "first proposed"),
    ]


def test_a_diff_names_what_it_is_compared_with(call, world):
    path = f"{PATH}/versions/1.1.0/diff"
    for against in ("1.0.0", f"{REF}@1.0.0", REF):
        assert call("lead", "GET", f"{path}?against={against}").json()["against"] == f"{REF}@1.0.0"
    for query in (
        "against=9.9.9",
        "against=x",
        "against=platform/x@1.0.0",
        "against=%00",
        "against=" + "1" * 300,
        "other=1",
    ):
        answer = call("lead", "GET", f"{path}?{query}")
        assert answer.status_code == 422, query
        assert [item["pointer"] for item in answer.json()["errors"]] == [f"?{query.partition('=')[0]}"]


def test_a_request_is_previewed_accepted_and_published_under_its_authors_name(call, world):
    path = f"change-requests/{world.own.request.uid}"
    fit = call("reviewer", "GET", f"{path}/preview").json()
    assert (fit["fits"], fit["head"], fit["changed"], fit["findings"]) == (True, f"{REF}@1.0.0", 1, [])
    assert [one["path"] for one in fit["changes"]] == ["/nodes/plan/prompt"]
    assert node(fit["document"], "plan")["prompt"] == "Plan it our way."
    read = call("lead", "GET", path)
    assert read.json()["fork"] == "team.ledger/ledger-fork"
    accepted = call("lead", "POST", f"{path}/accept", {"part": "patch"}, If_Match=read["ETag"])
    assert (accepted.status_code, accepted.json()["result"]) == (200, "1.0.1")
    version = call("lead", "GET", f"{PATH}/versions/1.0.1").json()
    assert (version["proposed_by"]["handle"], version["decided_by"]["handle"]) == ("member", "lead")
    assert call("lead", "GET", "forks/ledger/ledger-fork").json()["drift"] == 1
    again = call("reviewer", "POST", f"{path}/accept", {}, If_Match="*")
    assert again.status_code == 409
    assert call("lead", "POST", f"{path}/accept", {}, If_Match=read["ETag"]).status_code == 412


def test_a_request_that_does_not_fit_any_more_says_so(call, world):
    def rename_plan(document):
        node(document, "plan")["id"] = "think"
        node(document, "weigh")["cases"][0]["when"] = 'nodes.think.output.risk == "low"'

    later = next_of(world.own.blueprint, "3.0.0", rename_plan)
    publish(world.own.team, later)
    fit = call("lead", "GET", f"change-requests/{world.own.request.uid}/preview")
    assert fit.status_code == 200
    assert (fit.json()["fits"], fit.json()["document"]) == (False, None)
    assert [one["code"] for one in fit.json()["findings"]] == ["NO_SUCH_ITEM"]
    refused = call("lead", "POST", f"change-requests/{world.own.request.uid}/accept", {}, If_Match="*")
    assert (refused.status_code, refused.json()["code"]) == (422, "unsound")


def test_who_decides_on_a_request_need_not_see_the_team(call, world):
    """A team asks the platform; everybody sees the request, and the fork behind it only who sees the team."""
    head = publish(world.cast.platform, document_of(world.cast.platform))
    forking.fork_blueprint(
        actor=world.cast.outsider, version=head, team=world.other.team, name="ours", operations=[set_turns("plan", 20)]
    )
    body = {"targets": ["/nodes/plan/max_turns"], "title": "Fewer turns"}
    made = call("outsider", "POST", "forks/rival/ours/requests", body)
    assert made.status_code == 201
    assert made["Location"] == f"/api/v1/change-requests/{made.json()['uid']}"
    for who, fork in {
        "outsider": "team.rival/ours",
        "admin": "team.rival/ours",
        "member": None,
        "stranger": None,
    }.items():
        told = call(who, "GET", f"change-requests/{made.json()['uid']}").json()
        assert (told["fork"], told["team_slug"]) == (fork, "rival")


def test_what_is_asked_already_is_refused_with_the_way_to_it(call, world):
    head = publish(world.cast.platform, document_of(world.cast.platform))
    forking.fork_blueprint(
        actor=world.cast.outsider, version=head, team=world.other.team, name="ours", operations=[set_turns("plan", 20)]
    )
    body = {"targets": ["/nodes/plan/max_turns"], "title": "Fewer turns"}
    made = call("outsider", "POST", "forks/rival/ours/requests", body)
    refused = call("outsider", "POST", "forks/rival/ours/requests", body | {"title": "Again"})
    assert refused.status_code == 409
    told = refused.json()
    assert (told["code"], told["request"]) == ("already_proposed", made.json()["uid"])
    assert (told["href"], told["targets"]) == (made["Location"], ["/nodes/plan/max_turns"])
    assert "Fewer turns" in told["detail"]
    call("outsider", "POST", f"{told['href'].removeprefix('/api/v1/')}/withdraw", {}, If_Match="*")
    assert call("outsider", "POST", "forks/rival/ours/requests", body).status_code == 201


def test_a_request_to_an_owner_whom_one_does_not_see_is_not_there(call, world):
    path = f"change-requests/{world.other.request.uid}"
    assert call("lead", "GET", path).status_code == 404
    for act in ("accept", "decline", "withdraw"):
        assert call("lead", "POST", f"{path}/{act}", {"reason": "x"}, If_Match="*").status_code == 404
    assert call("lead", "GET", "change-requests?owner=rival").json()["items"] == []


@pytest.mark.parametrize(
    "namespace",
    ["platform.", "platform.platform", "team", "team.", "team..ledger", "team.ledger.x", "Team.ledger", "team.LEDGER",
     "domain.ledger", "user.ledger", "..", "team.ledger%0A", "team.%00", "team.-", "team." + "x" * 60, "%F0%9F%92%A5"],
)  # fmt: skip
def test_another_form_of_namespace_leads_nowhere(call, namespace):
    answer = call("lead", "GET", f"blueprints/{namespace}/implement-ticket-brownfield")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "semver",
    [
        "1",
        "1.0",
        "v1.0.0",
        "1.0.0.0",
        "01.0.0",
        "1.0.0-",
        "9" * 3_000 + ".0.0",
        "1.0.0-" + "a" * 3_000,
        "1.0.0%00",
        "latest",
    ],
)
def test_another_form_of_number_leads_nowhere(call, semver):
    assert call("lead", "GET", f"{PATH}/versions/{semver}").status_code == 404
