"""The wizard in a browser and a running house: from its first page to the first governed call, and its proof."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from portal.ports import free_ports
from tests.apps.classification.repositories import make_repository
from tests.furnishing import copy_furnished
from tests.processes.running import ROOT, Up, environment

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(300)]

KEY = "opens-the-ledger"
PATIENCE = 60_000
MOST = 25
SETTLEMENT = "Card settlements are booked at four in the morning, Oslo time."
HANDBOOK = {
    "README.md": "# Nordic cards\n\nHow we work.\n",
    "docs/settlement.md": f"# Settlement\n\n## When it runs\n\n{SETTLEMENT}\n",
}
QUESTION = "when are card settlements booked"


@pytest.fixture(scope="module")
def upstream():
    """Yields the address of an application that asks for a key, as a team would bring one."""
    port = free_ports()
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
def written(tmp_path_factory):
    """Returns the repository in which the team has written down how it works."""
    return make_repository(tmp_path_factory.mktemp("repositories") / "handbook", HANDBOOK)


@pytest.fixture(scope="module")
def house(upstream, written):
    with tempfile.TemporaryDirectory(prefix="hanse-house-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        copy_furnished(Path(place) / "data")
        changes = {"HANSE_UPSTREAM_ALLOW": upstream, "HANSE_REPOSITORY_ROOTS": str(written.parent)}
        with Up(Path(place) / "data", changes=changes) as up:
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

    def go_on(self, step: str) -> None:
        Person.done += 1
        self.page.locator("#step").get_by_role("link", name=step).click()

    def follow(self, url: str) -> None:
        Person.done += 1
        self.page.goto(url)


def test_from_nothing_to_the_first_governed_call(browser, house, upstream, written):
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
    expect(lead.page.get_by_role("heading", name="Documents", exact=True)).to_be_visible(timeout=PATIENCE)
    lead.fill("Git repository optional", written.as_uri())
    lead.press("Bring it")
    expect(lead.page.locator("#checklist")).to_contain_text("2 documents, 2 passages.", timeout=PATIENCE)
    lead.go_on("First server")
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

    found = ask(house, QUESTION, team="nordic-cards", person="jonas", agent="nordic-helper")
    assert SETTLEMENT in found["hits"][0]["text"]
    assert (found["hits"][0]["owner"], found["hits"][0]["path"]) == ("nordic-cards", "docs/settlement.md")
    others = ask(house, QUESTION, **json.loads(manage(house, "demo_identities", "--json")))
    assert "Oslo" not in json.dumps(others)


def manage(house, *words):
    """Returns what a command of the running installation prints."""
    own = environment(HANSE_DATA=str(house.data), HANSE_PORT=str(house.port))
    command = [sys.executable, str(ROOT / "manage.py"), *words]
    return subprocess.run(command, env=own, capture_output=True, text=True, check=True).stdout


def ask(house, question, **who):
    """Returns the structured answer of `context.search` to an agent that uses the official SDK's client."""
    token = manage(house, "agent_token", *[word for name, value in who.items() for word in (f"--{name}", value)])
    address = f"http://localhost:{house.port}/mcp/{who['team']}"
    # In a process of its own: the browser's driver keeps a loop running in this one.
    command = [sys.executable, "-m", "tests.e2e.asking", address, question]
    own = environment() | {"TOKEN": token.strip()}
    return json.loads(subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=True).stdout)
