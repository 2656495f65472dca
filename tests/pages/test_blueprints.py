"""Blueprints on pages: what the forms refuse, what the numbers say, and what hostile words do."""

import re

import pytest
from django.urls import reverse

from blueprints.models import Blueprint, ChangeRequest, Fork, Version
from blueprints.services.publishing import deprecate_blueprint, propose_version
from portal.parts.graph import rows_of_graph
from tests.apps.blueprints.estate import as_text, document_of, next_of, node, publish

TICKET = ("platform", "implement-ticket-brownfield")
FORK = ("ledger", "our-ticket")


@pytest.fixture
def fork(cast):
    return Fork.objects.get(owner=cast.team)


def test_a_fork_page_says_both_numbers_and_why(browse):
    text = browse("lead").get(reverse("fork", args=FORK)).content.decode()
    for words in ("1 behind", "2 drift", "1 conflict", "Ours is larger.", "Our conventions differ."):
        assert words in text
    assert "team.rival" not in text


def test_an_edit_becomes_operations_with_its_reason(browse, fork):
    client = browse("lead")
    page = client.get(reverse("fork_edit", args=FORK))
    text = page.context["form"]["text"].value().replace("max_turns: 30", "max_turns: 25", 1)
    data = {"text": text.replace("\n", "\r\n"), "reason": "Plans are short.", "version": fork.version}
    assert client.post(reverse("fork_edit", args=FORK), data).status_code == 302
    fork.refresh_from_db()
    made = {one.get("path", one.get("node")): one["reason"] for one in fork.operations}
    assert made["/nodes/plan/max_turns"] == "Plans are short."
    assert made["plan"] == "Our conventions differ."
    assert client.post(reverse("fork_edit", args=FORK), data).status_code == 412


@pytest.mark.parametrize("text", ["", "a: &x [*x]", "blueprint: 1", "\x01", "{" * 5_000, "x: " + "y" * 300_000])
def test_a_text_that_is_no_blueprint_is_refused_at_its_field(browse, fork, text):
    answer = browse("lead").post(
        reverse("fork_edit", args=FORK), {"text": text, "reason": "Odd.", "version": fork.version}
    )
    assert answer.status_code == 422
    assert answer.context["form"].errors["text"]
    assert browse("lead").post(reverse("blueprint_check"), {"text": text}).status_code == 200


def test_a_rebase_needs_every_choice_and_then_moves(browse, fork):
    client, url = browse("lead"), reverse("fork_rebase", args=FORK)
    refused = client.post(url, {"version": fork.version})
    assert refused.status_code == 422
    assert "Each conflict needs a choice" in refused.content.decode()
    moved = client.post(url, {"version": fork.version, "choice:/nodes/implement/max_turns": "head"})
    assert moved.status_code == 302
    fork.refresh_from_db()
    assert (fork.base.semver, fork.behind, fork.drift) == ("1.1.0", 0, 1)
    assert client.post(url, {"version": 1, "choice:/nodes/implement/max_turns": "head"}).status_code == 412


def test_a_change_is_dropped_alone(browse, fork):
    url = reverse("fork_act", args=[*FORK, "drop"])
    assert browse("lead").post(url, {"target": "/nodes/plan/prompt"}).status_code == 302
    fork.refresh_from_db()
    assert [one["op"] for one in fork.operations] == ["set_field"]


def test_a_fork_of_parameters_is_offered_as_a_configuration(browse, fork):
    browse("lead").post(reverse("fork_act", args=[*FORK, "drop"]), {"target": "/nodes/plan/prompt"})
    assert "Make it a configuration" in browse("lead").get(reverse("fork", args=FORK)).content.decode()
    assert "Make it a configuration" not in browse("reviewer").get(reverse("fork", args=FORK)).content.decode()
    assert browse("lead").post(reverse("fork_act", args=[*FORK, "configure"])).status_code == 302
    fork.refresh_from_db()
    assert fork.mode == "configuration"


def test_the_first_version_waits_and_its_author_cannot_publish_it(browse, cast):
    url = reverse("blueprint_new")
    data = {"owner": "ledger", "text": as_text(document_of(cast.team, "fix-failing-build")), "note": "Ours."}
    made = browse("member").post(url, data)
    assert made.status_code == 302
    assert "somebody else decides" in browse("member").get(made.url).content.decode()
    decide = f"{made.url}publish/"
    assert browse("member").post(decide).status_code == 403
    assert browse("reviewer").post(decide).status_code == 302
    assert Blueprint.objects.get(name="fix-failing-build").status == "active"
    assert browse("lead").post(decide).status_code == 409


def test_nobody_proposes_for_an_owner_they_do_not_work_for(browse, cast):
    data = {"owner": "platform", "text": as_text(document_of(cast.platform, "fix-failing-build")), "note": "Ours."}
    answer = browse("lead").post(reverse("blueprint_new"), data)
    assert answer.status_code == 422
    assert "owner" in answer.context["form"].errors


def test_a_request_that_does_not_fit_any_more_says_so(browse, cast):
    request = ChangeRequest.objects.get(team_slug="ledger")
    request.operations = [{"op": "set_field", "path": "/nodes/gone/minutes", "value": 3, "reason": "Gone."}]
    request.save()
    text = browse("admin").get(reverse("change_request", args=[request.uid])).content.decode()
    assert "does not fit" in text
    assert "Accept and publish" not in text


def test_a_deprecated_blueprint_names_its_successor_to_its_forks(browse, cast):
    blueprint = Blueprint.objects.get(name="implement-ticket-brownfield")
    other = publish(cast.platform, document_of(cast.platform, "implement-ticket-greenfield"))
    deprecate_blueprint(actor=cast.admin, blueprint=blueprint, reason="Replaced.", successor=other.blueprint)
    text = browse("lead").get(reverse("fork", args=FORK)).content.decode()
    assert "Move to" in text
    assert browse("lead").get(reverse("fork_rebase", args=FORK) + "?onto=successor").status_code == 200
    data = {"team": "ledger", "name": "another", "title": ""}
    refused = browse("lead").post(reverse("blueprint_fork", args=TICKET), data)
    assert refused.status_code == 422
    assert "platform/implement-ticket-greenfield" in refused.content.decode()


def test_words_of_authors_are_never_markup(browse, cast):
    document = document_of(cast.team, "dependency-upgrade")
    hostile = "<script>alert(1)</script>\"'>"
    document["document"] |= {"title": hostile, "summary": hostile}
    document["nodes"][0]["title"] = hostile
    publish(cast.team, document, note=hostile)
    for url in ("/blueprints/", "/blueprints/team.ledger/dependency-upgrade/", "/search/?q=script"):
        text = browse("lead").get(url).content.decode()
        assert "alert(1)" in text or "search" in url
        assert not re.search(r"<script>alert", text)


def test_lists_hold_only_what_one_sees(browse):
    assert "Rival" not in browse("lead").get("/forks/").content.decode()
    assert "our-ticket" in browse("lead").get("/forks/?format=csv").content.decode()
    assert "rival" not in browse("lead").get("/forks/?format=json").content.decode()
    assert Version.objects.filter(owner__slug="rival").exists()
    assert "rival" not in browse("lead").get("/blueprints/?format=csv").content.decode()


def test_the_editor_of_a_fork_holds_the_text_against_its_base_as_one_types(browse, fork):
    client, url = browse("lead"), f"{reverse('blueprint_check')}?fork={'/'.join(FORK)}"
    page = client.get(reverse("fork_edit", args=FORK))
    assert page.content.decode().count(f'"{url}"') == 3, "by the button, without a script, and as one types"
    text = page.context["form"]["text"].value()
    sound = client.post(url, {"text": text}).content.decode()
    for words in ("Sound", "1 behind", "2 drift", "1 conflict"):
        assert words in sound
    weaker = client.post(url, {"text": text.replace("op: gte, value: 2}", "op: gte, value: 1}")}).content.decode()
    assert "Sound" not in weaker
    assert "PRECONDITION_WEAKENED" in weaker
    assert "1 behind" not in weaker, "what would be refused has no numbers"
    assert browse("outsider").post(url, {"text": text}).status_code == 404
    assert client.post(f"{reverse('blueprint_check')}?fork=ledger", {"text": text}).status_code == 404


def test_an_empty_editor_says_where_to_start_and_names_no_fault(browse):
    for text in ("", " \r\n "):
        said = browse("lead").post(reverse("blueprint_check"), {"text": text}).content.decode()
        assert "Nothing is written yet" in said
        assert "error" not in said


def test_nothing_is_dropped_that_is_not_there(browse, fork):
    url = reverse("fork_act", args=[*FORK, "drop"])
    for place in ("/nodes/nowhere/prompt", "", "x" * 3_000):
        assert browse("lead").post(url, {"target": place}).status_code == 404
    before = fork.operations
    fork.refresh_from_db()
    assert fork.operations == before


@pytest.mark.parametrize("name", ["Walked Ticket", "our_ticket", "-x", "x" * 49])
def test_a_name_that_cannot_be_used_says_which_can(browse, name):
    answer = browse("lead").post(reverse("blueprint_fork", args=TICKET), {"team": "ledger", "name": name})
    assert answer.status_code == 422
    assert "underscore" not in " ".join(answer.context["form"].errors["name"])


def test_a_fork_that_upstream_has_passed_by_can_be_rebased_though_it_is_not_behind(browse, fork):
    Fork.objects.filter(pk=fork.pk).update(behind=0, conflicts=0)
    page = browse("lead").get(reverse("fork", args=FORK)).content.decode()
    assert f'href="{reverse("fork_rebase", args=FORK)}"' in page


@pytest.mark.parametrize(("count", "said"), [(1, "1 visit"), (2, "2 visits")])
def test_one_is_no_plural(count, said):
    (row,) = rows_of_graph({"nodes": [{"id": "plan", "kind": "agent", "max_visits": count}]})
    assert row.caps == said


def test_only_teams_in_reach_are_offered_for_a_fork(browse, cast):
    url = reverse("blueprint_fork", args=TICKET)
    assert list(browse("admin").get(url).context["form"].teams) == ["ledger", "rival"]
    own = publish(cast.domain, document_of(cast.domain, "dependency-upgrade")).blueprint
    theirs = publish(cast.team, document_of(cast.team, "dependency-upgrade")).blueprint
    for blueprint in (own, theirs):
        page = browse("admin").get(reverse("blueprint_fork", args=[blueprint.namespace, blueprint.name]))
        assert list(page.context["form"].teams) == ["ledger"]
    assert "You work in no team that can fork it" in browse("steward").get(url).content.decode()


def test_a_successor_that_nobody_knows_is_refused_at_its_field(browse, cast):
    url = reverse("blueprint_deprecate", args=TICKET)
    for successor in ("nowhere", "platform/nothing", "team.rival/x"):
        refused = browse("admin").post(url, {"reason": "Replaced.", "successor": successor})
        assert refused.status_code == 422
        assert list(refused.context["form"].errors) == ["successor"]
    assert Blueprint.objects.get(name=TICKET[1]).status == "active"


def test_who_reviews_a_version_sees_what_its_header_changes(browse, cast):
    blueprint = Blueprint.objects.get(name=TICKET[1])

    def change(document):
        document["document"]["summary"] = "Keeps evidence for two years."
        node(document, "plan")["minutes"] += 1

    text = as_text(next_of(blueprint, "9.0.0", change))
    version = propose_version(actor=cast.admin, owner=cast.platform, text=text, note="Evidence.")
    page = browse("admin").get(reverse("version", args=[*TICKET, version.semver])).content.decode()
    header = page.partition("<b>Header</b>")[2].partition("</details>")[0]
    assert "<code>summary</code>" in header
    assert "evidence" in header


def test_what_is_proposed_already_is_refused_with_the_way_to_it(browse, fork):
    client, url = browse("member"), reverse("fork_propose", args=FORK)
    open_one = ChangeRequest.objects.get(team_slug="ledger")
    data = {"targets": ["/nodes/plan/prompt"], "title": "Once more", "note": "It found <b>more</b>."}
    refused = client.post(url, data)
    text = refused.content.decode()
    assert refused.status_code == 422
    assert "“A plan of ledger” is open and asks for /nodes/plan/prompt already." in text
    assert f'<a href="{reverse("change_request", args=[open_one.uid])}">Open it</a>' in text
    assert "Once more" in text
    assert "It found &lt;b&gt;more&lt;/b&gt;." in text
    ChangeRequest.objects.filter(pk=open_one.pk).update(title="<script>alert(1)</script>")
    assert "<script>alert" not in client.post(url, data).content.decode()
    assert ChangeRequest.objects.filter(team_slug="ledger").count() == 1
    assert client.post(url, data | {"targets": ["/nodes/implement/max_turns"]}).status_code == 302
