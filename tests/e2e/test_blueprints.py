"""The life of a fork as its people walk it: fork, change, fall behind, rebase, propose upstream, accepted."""

import re

from playwright.sync_api import expect

TICKET = "/blueprints/platform/implement-ticket-brownfield/"


def rewrite(page, *changes):
    """Changes the text in the editor as a person would, by its words."""
    field = page.locator("#id_text")
    text = field.input_value()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    field.fill(text)


def publish(visit, *changes, note):
    """One of the platform proposes the next version, somebody else publishes it."""
    page = visit("admin").open(f"{TICKET}propose/")
    rewrite(page, *changes)
    expect(page.locator("#checked").get_by_text("Sound")).to_be_visible()
    page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="Propose it").click()
    expect(page.get_by_text("You proposed it, so somebody else decides")).to_be_visible()
    page = visit("curator").open(page.url)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("is published.")).to_be_visible()


def test_a_fork_lives(visit):
    page = visit("lead").open("/blueprints/?status=active")
    page.get_by_role("link", name="Implement a ticket in existing code").click()
    page.get_by_role("link", name="Fork", exact=True).click()
    page.get_by_label("Short name").fill("walked-ticket")
    page.get_by_label("Title").fill("A walked ticket")
    page.get_by_role("button", name="Fork").click()
    expect(page.get_by_text("It is what upstream publishes")).to_be_visible()

    page.get_by_role("link", name="Edit", exact=True).click()
    rewrite(page, ("max_turns: 45", "max_turns: 40"), ("Plan the smallest change", "Plan what we can prove"))
    page.get_by_label("Reason").fill("Short tickets are good tickets.")
    page.get_by_role("button", name="Save").click()
    head = page.locator(".head")
    expect(head.get_by_text("2 drift")).to_be_visible()
    expect(head.get_by_text("0 behind")).to_be_visible()

    publish(visit, ("max_turns: 45", "max_turns: 35"), note="Fewer turns at a time.")
    page.reload()
    expect(head.get_by_text("1 behind")).to_be_visible()
    expect(head.get_by_text("1 conflict")).to_be_visible()

    page.get_by_role("link", name="Rebase").click()
    page.get_by_label("Keep the fork's").check()
    page.get_by_role("button", name=re.compile("Rebase onto")).click()
    expect(head.get_by_text("0 behind")).to_be_visible()
    expect(head.get_by_text("2 drift")).to_be_visible()

    page.get_by_role("link", name="Propose upstream").click()
    page.get_by_label(re.compile("/nodes/plan/title")).check()
    page.get_by_role("textbox", name="Title").fill("Say that a plan is to be proven")
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_text("You opened it, so somebody else decides")).to_be_visible()

    reviewer = visit("curator").open("/")
    reviewer.get_by_role("link", name="Say that a plan is to be proven").click()
    reviewer.get_by_role("button", name="Accept and publish").click()
    expect(reviewer.locator("#main").get_by_text("Published as")).to_be_visible()

    page.goto("/forks/ledger/walked-ticket/")
    expect(head.get_by_text("1 drift")).to_be_visible()
    expect(head.get_by_text("0 behind")).to_be_visible()


def test_a_fault_is_shown_while_one_types_and_refused_when_one_saves(visit):
    visitor = visit("lead")
    page = visitor.open("/forks/ledger/our-ticket/edit/")
    rewrite(page, ("[tests, new_tests, lint]", "[nothing_of_the_kind, new_tests, lint]"))
    expect(page.locator("#checked").get_by_text("UNKNOWN_CHECK").first).to_be_visible()
    page.get_by_label("Reason").fill("To see what happens.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".errorlist").first).to_contain_text("UNKNOWN_CHECK")
    assert [text for text in visitor.complaints if "422" in text]
    visitor.complaints.clear()  # the browser reports the status of the page itself


def test_a_rebase_without_a_choice_changes_nothing(visit):
    page = visit("lead", java_script_enabled=False).open("/forks/ledger/our-ticket/rebase/")
    expect(page.get_by_label("Take upstream's").first).to_be_visible()
    expect(page.get_by_label("Keep the fork's").first).not_to_be_checked()
