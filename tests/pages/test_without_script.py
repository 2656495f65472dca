"""What JavaScript shows as a dialog is a page behind a plain link: it is asked, refused with what was typed, and done."""

from html.parser import HTMLParser

import pytest
from django.urls import reverse

from blueprints.models import Blueprint, ChangeRequest, Fork, Version
from registry.models import Server
from tenants.models import Agent, Delegation, Membership, Onboarding


class Reader(HTMLParser):
    """Reads of a page what somebody without a script can follow: its links by their words, and its forms."""

    def __init__(self, text):
        super().__init__()
        self.links, self.forms, self._open = {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        if tag == "a":
            self._open = [facts.get("href", ""), ""]
        elif tag == "form":
            self.forms.append((facts.get("method", "get"), facts.get("action", ""), {}))
        elif tag in {"input", "select", "textarea"} and self.forms and "name" in facts:
            self.forms[-1][2][facts["name"]] = facts.get("value", "")

    def handle_data(self, data):
        if self._open is not None:
            self._open[1] += data

    def handle_endtag(self, tag):
        if tag == "a" and self._open is not None:
            self.links.setdefault(" ".join(self._open[1].split()), self._open[0])
            self._open = None


def read(response):
    return Reader(response.content.decode())


def delegation():
    return Delegation.objects.get(purpose="Answer questions")


def delegation_page():
    return reverse("delegation", args=[delegation().uid])


def version_page():
    return reverse("version", args=["team.ledger", "code-review", "1.0.0"])


def request_page():
    return reverse("change_request", args=[ChangeRequest.objects.get(team_slug="ledger").uid])


def onboarding_page():
    return f"/onboarding/{Onboarding.objects.get(owner__slug='ledger').uid}/people/"


LONG = "x" * 201
SERVER, FORK = "/servers/accounts/", "/forks/ledger/our-ticket/"
BLUEPRINT = "/blueprints/platform/implement-ticket-brownfield/"
NARROW = {"tool_groups": ["accounts"], "effect_ceiling": "0", "sensitivity_ceiling": "1", "hours": "1"}
DIALOGS = {
    "quarantine a server": (
        "lead", SERVER, "Quarantine", {"reason": LONG}, {"reason": "Odd answers."},
        lambda: Server.objects.get(slug="accounts").status == "quarantined"),
    "retire a server": (
        "lead", SERVER, "Retire", {"reason": LONG}, {"reason": "Replaced."},
        lambda: Server.objects.get(slug="accounts").status == "retired"),
    "suspend an agent": (
        "lead", "/identity/agents/builder-bot/", "Suspend", {"reason": LONG}, {"reason": "It looped."},
        lambda: Agent.objects.get(slug="builder-bot").status == "suspended"),
    "narrow a delegation": (
        "lead", delegation_page, "Narrow", NARROW | {"hours": "99"}, NARROW, lambda: delegation().effect_ceiling == 0),
    "revoke a delegation": (
        "lead", delegation_page, "Revoke", {"reason": LONG}, {"reason": "Done."},
        lambda: delegation().revoked_at is not None),
    "give a role": (
        "lead", "/teams/ledger/", "Give a role", {"person": "nobody-of-that-name", "role": "member"},
        {"person": "stranger", "role": "member"},
        lambda: Membership.objects.filter(person__handle="stranger", tenant__slug="ledger").exists()),
    "reject a version": (
        "reviewer", version_page, "Reject", {"reason": LONG}, {"reason": "Not yet."},
        lambda: Version.objects.get(blueprint__name="code-review", owner__slug="ledger").status == "rejected"),
    "decline a request": (
        "admin", request_page, "Decline", {"reason": LONG}, {"reason": "Ours is better."},
        lambda: ChangeRequest.objects.get(team_slug="ledger").status == "declined"),
    "retire a fork": (
        "lead", FORK, "Retire", {"reason": LONG}, {"reason": "Back to upstream."},
        lambda: Fork.objects.get(owner__slug="ledger").status == "retired"),
    "deprecate a blueprint": (
        "admin", BLUEPRINT, "Deprecate", {"reason": "Old.", "successor": "platform/nothing"}, {"reason": "Old."},
        lambda: Blueprint.objects.get(name="implement-ticket-brownfield").status == "deprecated"),
    "close an onboarding": (
        "lead", onboarding_page, "Close", {"reason": LONG}, {"reason": "Not now."},
        lambda: Onboarding.objects.get(owner__slug="ledger").closed_at is not None),
}  # fmt: skip


@pytest.mark.parametrize(("who", "page", "label", "wrong", "right", "is_done"), DIALOGS.values(), ids=DIALOGS)
def test_a_dialog_is_a_page_behind_a_link(browse, who, page, label, wrong, right, is_done):
    client, start = browse(who), page() if callable(page) else page
    url = read(client.get(start)).links[label]
    asked = client.get(url)
    assert asked.status_code == 200
    method, action, fields = _form_for(read(asked), right)
    assert (method, action) == ("post", "")
    assert fields.keys() >= right.keys()
    refused = client.post(url, wrong)
    assert refused.status_code == 422
    assert refused.context["form"].errors
    told = refused.content.decode()
    assert "errorlist" in told
    assert all(value in told for value in wrong.values() if isinstance(value, str) and not value.isdigit())
    assert not is_done()
    done = client.post(url, right, follow=True)
    assert done.redirect_chain
    assert done.status_code == 200
    assert is_done()


def _form_for(page, data):
    return next(form for form in page.forms if form[2].keys() >= data.keys())


@pytest.mark.parametrize(("who", "page", "label"), [row[:3] for row in DIALOGS.values()], ids=DIALOGS)
def test_a_script_opens_the_same_as_a_dialog(browse, who, page, label):
    client, start = browse(who), page() if callable(page) else page
    shown = client.get(start).content.decode()
    url = Reader(shown).links[label]
    assert f'hx-get="{url}"' in shown
    assert 'id="sheet"' in shown
    part = client.get(url, headers={"HX-Request": "true"}).content.decode().strip()
    assert part.startswith("<form")
    assert part.endswith("</form>")
    assert f'action="{url}"' in part
    assert 'id="sheet-title"' in part


def test_a_token_is_asked_for_refused_and_shown_without_a_script(browse):
    client = browse("lead")
    url = read(client.get(delegation_page())).links["Mint a token"]
    assert read(client.get(url)).forms
    refused = client.post(url, {"minutes": "500"})
    assert refused.status_code == 422
    assert 'value="500"' in refused.content.decode()
    page = client.post(url, {"minutes": "5"})
    assert 'id="token-text"' in page.content.decode()
    assert read(page).links["Done"] == delegation_page()


def test_a_question_is_for_who_may_do_it(browse):
    """Who sees a thing and may not do it is not offered the link, and is told what is missing behind it."""
    client = browse("reviewer")
    assert "Quarantine" not in read(client.get(SERVER)).links
    refused = client.get(reverse("server_status", args=["accounts", "quarantine"]))
    assert refused.status_code == 403
    assert "a lead of the team or a platform admin" in refused.content.decode()
    assert browse("outsider").get(reverse("agent_suspend", args=["builder-bot"])).status_code == 404


def test_no_page_has_a_button_that_only_a_script_can_answer(browse, cast):
    """A button that opens a dialog of its own page says which: it is the palette, the keys, or nothing."""
    pages = [SERVER, "/identity/agents/builder-bot/", delegation_page(), "/teams/ledger/", "/identity/people/", FORK]
    for page in pages:
        text = browse("lead").get(page).content.decode()
        assert text.count("data-dialog=") == text.count('data-dialog="#keys"') == 1
        assert "commandfor" not in text
