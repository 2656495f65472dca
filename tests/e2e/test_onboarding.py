"""The wizard in a browser and a running house: from its first page to the first governed call, and its proof."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.processes.running import ROOT, Up, environment, free_port

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(300)]

KEY = "opens-the-ledger"
PATIENCE = 60_000
MOST = 25


@pytest.fixture(scope="module")
def upstream():
    """Yields the address of an application that asks for a key, as a team would bring one."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hanse-app-") as place:
        (Path(place) / "keys.json").write_text(json.dumps({"pipeline": KEY, "ledger": KEY}))
        command = [sys.executable, "-m", "portal.demo.serving", place, str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment())
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def house(upstream):
    with tempfile.TemporaryDirectory(prefix="hanse-house-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        with Up(Path(place) / "data", changes={"HANSE_UPSTREAM_ALLOW": upstream}) as up:
            up.wait_ready()
            yield up
            up.stop()


class Person:
    """Somebody at a browser, whose acts are counted."""

    done = 0

    def __init__(self, browser, house, email: str) -> None:
        base = f"http://localhost:{house.port}"
        password = re.search(r"Sign in with the password (\S+) as", "\n".join(house.lines))[1]
        self.page: Page = browser.new_context(base_url=base).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.goto("/accounts/login/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{base}/")

    def fill(self, label: str, text: str) -> None:
        Person.done += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label: str, value: str) -> None:
        Person.done += 1
        self.page.get_by_label(label, exact=True).select_option(value)

    def tick(self, label: str) -> None:
        Person.done += 1
        self.page.get_by_label(label).check()

    def press(self, button: str) -> None:
        Person.done += 1
        self.page.get_by_role("button", name=button, exact=True).click()

    def follow(self, url: str) -> None:
        Person.done += 1
        self.page.goto(url)


def test_from_nothing_to_the_first_governed_call(browser, house, upstream):
    admin = Person(browser, house, "mara@nordhafen.example")
    lead = Person(browser, house, "jonas@nordhafen.example")
    Person.done = 0
    admin.follow("/onboarding/")
    admin.fill("Name", "Nordic cards")
    admin.press("Begin")
    admin.tick("Cloud engineering")
    expect(admin.page.locator("#dry-run")).to_contain_text("Cloud engineering", timeout=PATIENCE)
    admin.fill("Lead", "jonas@nordhafen.example")
    admin.press("Stand it up")
    link = admin.page.locator("#onboarding-link").inner_text(timeout=PATIENCE)

    lead.follow(link)
    lead.fill("Agents optional", "Nordic helper, builder")
    lead.press("Take them in")
    expect(lead.page.get_by_role("heading", name="First server")).to_be_visible(timeout=PATIENCE)
    lead.fill("Name", "Nordic ledger")
    lead.fill("Address", f"http://{upstream}/ledger/mcp")
    lead.choose("Credential optional", "header")
    lead.fill("Header optional", "X-Internal-Key")
    lead.fill("Secret optional", KEY)
    lead.press("Register and look at it")
    expect(lead.page.get_by_role("heading", name="Tools to approve")).to_be_visible(timeout=PATIENCE)
    expect(lead.page.get_by_text("Asks for its credential")).to_be_visible()
    expect(lead.page.locator("#dry-run")).to_contain_text("balances: read", timeout=PATIENCE)
    assert KEY not in lead.page.content()
    lead.press("Approve and activate")
    expect(lead.page.get_by_role("heading", name="First governed call", exact=True)).to_be_visible(timeout=PATIENCE)
    lead.press("Make the call")
    expect(lead.page.get_by_role("heading", name=re.compile("First governed call after"))).to_be_visible(
        timeout=PATIENCE
    )
    expect(lead.page.locator("#called")).to_contain_text("Receivables")
    expect(lead.page.locator("#checklist")).to_contain_text("It was made and stands in the log.")
    assert Person.done <= MOST

    lead.page.locator("#called").get_by_role("link").first.click()
    expect(lead.page.get_by_text("matches its commitment").first).to_be_visible(timeout=PATIENCE)
    admin.page.goto(link)
    expect(admin.page.get_by_text(re.compile("first governed call after"))).to_be_visible(timeout=PATIENCE)
    assert (admin.complaints, lead.complaints) == ([], [])
