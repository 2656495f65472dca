"""The screens of repositories: what one lacks and may do stands there, and every act is done or refused with a reason."""

import json
import re
from copy import deepcopy

import pytest

from audit.models import Event
from blueprints import tasks
from blueprints.classification.sealing import verify
from blueprints.models import PatternRequest, Repository
from portal.keyring import record_verifier
from tests.pages.estate import HOST

SHOP = "/repositories/ledger/shop/"


@pytest.fixture
def sources(settings):
    """Loopback is listed, so that forms can name it."""
    config = deepcopy(settings.HANSE)
    object.__setattr__(config, "upstream_allow", ("127.0.0.0/8",))
    settings.HANSE = config
    return HOST


@pytest.fixture
def woken(monkeypatch, django_capture_on_commit_callbacks):
    """Returns the ids of repositories to which a worker was sent."""
    asked = []
    monkeypatch.setattr(tasks.measure_repository, "delay", asked.append)
    with django_capture_on_commit_callbacks(execute=True):
        yield asked


def row(slug="shop"):
    return Repository.objects.get(slug=slug)


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def rows_of(response):
    return re.findall(r'class="open" href="/repositories/[^"]+">([^<]+)<', response.content.decode())


def last_act():
    return Event.objects.filter(kind="change").latest("id").verb


def test_the_list_narrows_by_what_counts_and_is_exported(browse):
    client = browse("lead")
    assert rows_of(client.get("/repositories/")) == ["Gone", "Held", "Proven", "Shop", "Thin", "Waiting"]
    for query, found in (
        ("pattern=dark-factory", ["Proven"]),
        ("state=failed", ["Gone"]),
        ("state=measuring", ["Waiting"]),
        ("level=1", ["Thin"]),
        ("level=9&state=odd", ["Gone", "Held", "Proven", "Shop", "Thin", "Waiting"]),
        ("q=sho", ["Shop"]),
        ("sort=level&pattern=interactive-assistant", ["Held", "Shop", "Thin", "Gone", "Waiting"]),
        ("team=mine&state=measured&sort=-name", ["Thin", "Shop", "Proven", "Held"]),
    ):
        assert rows_of(client.get(f"/repositories/?{query}")) == found, query
    assert "Rival-Shop" not in text_of(client.get("/repositories/"))
    exported = json.loads(client.get("/repositories/?format=json&state=measured").content)
    assert {one["slug"]: (one["pattern"], one["because"]) for one in exported} == {
        "held": ("interactive-assistant", "lowered"),
        "proven": ("dark-factory", "proven"),
        "shop": ("interactive-assistant", "not_proven"),
        "thin": ("interactive-assistant", "not_proven"),
    }
    assert client.get("/repositories/?format=csv")["Content-Disposition"] == 'attachment; filename="repositories.csv"'


def test_nothing_registered_names_the_one_next_action(browse):
    text = text_of(browse("stranger").get("/repositories/"))
    assert "No repositories yet" in text
    assert "You work in no team" in text_of(browse("stranger").get("/repositories/register/"))


def test_what_is_missing_comes_in_the_order_in_which_it_counts(browse):
    text = text_of(browse("reviewer").get("/repositories/ledger/thin/"))
    titles = ["Failed when it was run", "Level 2, tested", "Level 3, guarded", "Level 4, proven"]
    assert [text.index(f"<b>{title}</b>") for title in titles] == sorted(
        text.index(f"<b>{title}</b>") for title in titles
    )
    assert "Commit a lock file next to each manifest." in text
    assert "No approval stands in for a run that failed: executed.lint." in text
    assert "Ask to raise it" not in text
    assert "Measure now" not in text, "who only looks is offered no act"
    assert "Nothing is missing" in text_of(browse("lead").get("/repositories/ledger/held/"))


def test_facts_of_strangers_are_shown_as_text(browse):
    repository = row("thin")
    hostile = "<script>alert(1)</script>"
    repository.findings["signals"]["tests.real"]["files"] = [hostile] * 9
    repository.findings["signals"]["new.signal"] = {"state": "odd", "x": {"deep": {"a": [1, True, None]}}}
    Repository.objects.filter(pk=repository.pk).update(findings=repository.findings)
    text = text_of(browse("lead").get("/repositories/ledger/thin/"))
    assert hostile not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; and 4 more" in text


def test_a_repository_is_registered_and_measured(browse, sources, woken):
    client = browse("member")
    form = {"team": "ledger", "name": "Books", "slug": "books", "url": "http://127.0.0.1:9/books", "branch": ""}
    assert client.post("/repositories/register/", form).url == "/repositories/ledger/books/"
    assert last_act() == "blueprints.repository.registered"
    again = client.post("/repositories/register/", form)
    assert (again.status_code, "has a repository “books” already" in text_of(again)) == (422, True)
    for over, said in (
        ({"url": "https://169.254.169.254/x"}, "leads to a metadata address"),
        ({"url": "http://8.8.8.8/x"}, "Give an https address"),
        ({"url": "file:///etc"}, "not below one that the administrator listed"),
        ({"branch": "a..b"}, "cannot be the name of a branch"),
        ({"team": "rival"}, "Select a valid choice"),
    ):
        refused = client.post("/repositories/register/", form | {"slug": "other"} | over)
        assert (refused.status_code, said in text_of(refused)) == (422, True), over


def test_a_measurement_is_asked_for_and_watched(browse, woken):
    client = browse("member")
    assert client.post(f"{SHOP}measure/").url == SHOP
    assert row().stage == "waiting"
    text = text_of(client.get(SHOP))
    assert "Waits for a worker" in text
    assert 'hx-trigger="every 2s"' in text
    fragment = client.get(f"{SHOP}progress/", headers={"HX-Request": "true"})
    assert (fragment.status_code, "HX-Refresh" in fragment) == (200, False)
    Repository.objects.update(stage="reading")
    assert "Reads the files" in text_of(client.get(f"{SHOP}progress/", headers={"HX-Request": "true"}))
    Repository.objects.update(stage="")
    done = client.get(f"{SHOP}progress/", headers={"HX-Request": "true"})
    assert done["HX-Refresh"] == "true"
    assert "hx-trigger" not in text_of(done)
    assert client.get(f"{SHOP}progress/").url == SHOP, "without a script one looks at the page itself"


def test_a_failed_measurement_says_why(browse):
    text = text_of(browse("lead").get("/repositories/ledger/gone/"))
    assert "The last measurement could not be made." in text
    assert "The server knows no repository at this address." in text


def test_a_repository_is_changed_under_its_version(browse, sources, woken):
    client, form = browse("member"), {"name": "Till", "url": "http://127.0.0.1:9/shop", "branch": "", "version": 1}
    assert client.post(f"{SHOP}edit/", form).status_code == 302
    assert client.post(f"{SHOP}edit/", form).status_code == 412
    assert (row().name, row().level) == ("Till", 3)
    assert client.post(f"{SHOP}edit/", form | {"branch": "next", "version": 2}).status_code == 302
    assert (row().level, row().stage, PatternRequest.objects.get(repository=row()).status) == (
        None,
        "waiting",
        "declined",
    )


def test_a_lead_removes_it(browse):
    assert "Remove for good" in text_of(browse("lead").get(f"{SHOP}remove/"))
    assert browse("lead").post(f"{SHOP}remove/").url == "/repositories/"
    assert browse("lead").get(SHOP).status_code == 404
    assert last_act() == "blueprints.repository.removed"


def test_lowering_and_asking_need_a_reason_and_an_approval_somebody_else(browse):
    member, lead = browse("member"), browse("lead")
    url = "/repositories/ledger/proven/"
    assert member.post(f"{url}lower/", {"reason": ""}).status_code == 422
    assert member.post(f"{url}lower/", {"reason": "It broke production."}).url == url
    assert "Lowered" in text_of(member.get(url))
    refused = member.post(f"{url}lower/", {"reason": "Again."})
    assert (refused.status_code, "It is lowered already." in text_of(refused)) == (422, True)
    assert lead.post(f"{url}ask/", {"reason": "It is mended."}).url == url
    assert last_act() == "blueprints.pattern.asked"
    request = PatternRequest.objects.get(repository=row("proven"))
    place = f"/pattern-requests/{request.uid}/"
    assert "You asked for this yourself" in text_of(lead.get(place))
    form = {"decision": "approve", "reason": "Looked at it.", "version": 1}
    mine = lead.post(place, form)
    assert (mine.status_code, "Approval by somebody else" in text_of(mine)) == (403, True)
    assert member.get(place).status_code == 403
    past = browse("admin").post(place, form | {"until": "2020-01-01T00:00"})
    assert (past.status_code, "Give a moment in the future." in text_of(past)) == (422, True)
    assert browse("admin").post(place, form).url == url
    assert row("proven").standing_at(row("proven").expires_at.replace(day=1)).pattern
    assert "Dark factory" in text_of(lead.get(url))
    assert browse("admin").get(place).status_code == 409, "it is decided once"


def test_a_request_is_declined_with_a_reason_that_is_read(browse):
    request = PatternRequest.objects.get(repository=row())
    lead = browse("lead")
    assert "Decide" in text_of(lead.get(SHOP))
    form = {"decision": "decline", "reason": "Not before the audit.", "version": 1}
    assert lead.post(f"/pattern-requests/{request.uid}/", form).url == SHOP
    assert "Not before the audit." in text_of(browse("member").get(SHOP))
    assert browse("outsider").get(f"/pattern-requests/{request.uid}/").status_code == 404
    assert lead.get("/pattern-requests/nonsense/").status_code == 404


def test_what_no_approval_can_mend_is_refused_with_its_name(browse):
    refused = browse("member").post("/repositories/ledger/thin/ask/", {"reason": "A pilot."})
    assert (refused.status_code, "executed.lint" in text_of(refused)) == (403, True)


def test_the_record_is_downloaded_and_verifies(browse):
    answer = browse("reviewer").get(f"{SHOP}record/")
    assert answer["Content-Disposition"] == 'attachment; filename="ledger-shop-cccccccccccc.record.json"'
    assert verify(json.loads(answer.content), record_verifier())["level"] == 3
    assert "signature holds" in text_of(browse("reviewer").get(SHOP))
    assert browse("lead").get("/repositories/ledger/waiting/record/").status_code == 404


def test_a_record_that_was_touched_is_said_aloud(browse):
    Repository.objects.filter(slug="shop").update(record={**row().record, "pattern": "dark-factory", "level": 5})
    text = text_of(browse("lead").get(SHOP))
    assert "The record does not verify." in text
    assert "signature holds" not in text
    assert "Agents work on it with a person at each step." in text
    shown = json.loads(browse("lead").get("/repositories/?format=json&q=shop").content)
    assert [(one["pattern"], one["because"]) for one in shown] == [("interactive-assistant", "unsigned")]


def test_it_is_found_from_the_team_and_from_the_palette(browse):
    assert 'href="/repositories/ledger/shop/"' in text_of(browse("lead").get("/teams/ledger/"))
    assert 'href="/repositories/ledger/shop/"' in text_of(browse("lead").get("/search/?q=shop"))
    assert "rival-shop" not in text_of(browse("lead").get("/search/?q=shop"))


def test_what_one_may_not_see_looks_like_what_is_not_there(browse):
    client = browse("outsider")
    for act in ("", "edit/", "record/", "progress/", "lower/", "ask/", "remove/"):
        foreign, absent = client.get(SHOP + act), client.get(f"/repositories/ledger/nowhere/{act}")
        assert foreign.status_code == absent.status_code == 404
        assert without_nonce(foreign) == without_nonce(absent)


def without_nonce(response):
    return re.sub(r'nonce="[^"]*"|csrf[^>]*value="[^"]*"|"X-CSRFToken": "[^"]*"', "", response.content.decode())
