"""Every screen in both themes and both widths: no axe violation, nothing wider than the window, no complaint."""

import pytest
from axe_playwright_python.sync_playwright import Axe

SCREENS = {
    "home": "/",
    "catalog": "/catalog/",
    "nothing-found": "/catalog/?q=zeppelin",
    "server-new": "/catalog/register/",
    "server": "/servers/accounts/",
    "server-callers": "/servers/accounts/callers/",
    "server-probes": "/servers/accounts/probes/",
    "server-changes": "/servers/accounts/changes/",
    "server-credential": "/servers/accounts/credential/",
    "teams": "/teams/",
    "team": "/teams/ledger/",
    "domain": "/teams/payments/",
    "platform": "/teams/platform/",
    "agents": "/identity/agents/",
    "agent": "/identity/agents/builder-bot/",
    "agent-new": "/identity/agents/register/",
    "delegations": "/identity/delegations/",
    "delegation-new": "/identity/delegations/new/",
    "people": "/identity/people/",
    "audit": "/audit/",
    "styleguide": "/styleguide/",
    "password": "/accounts/password/change/",
}
ENTRIES = {"sign-in": "/accounts/login/", "reset": "/accounts/password/reset/"}
REFUSED = {"missing": "/servers/no-such-thing/", "forbidden": "/identity/people/add/"}
WIDTHS = {1280: 800, 390: 844}


@pytest.fixture(params=["light", "dark"])
def theme(request) -> str:
    return request.param


@pytest.fixture(params=WIDTHS)
def look(request, theme, visit):
    """Returns a function: who -> a visitor in this theme and width. axe is injected, which the policy would refuse."""
    size = {"width": request.param, "height": WIDTHS[request.param]}
    return lambda who="": visit(who, color_scheme=theme, viewport=size, bypass_csp=True)


def faults(page) -> list[str]:
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found = [f"{width} px wider than the window"] if width > 0 else []
    for violation in Axe().run(page).response["violations"]:
        found += [f"{violation['id']}: {node['html'][:120]}" for node in violation["nodes"]]
    return found


def test_screens(look):
    visitor = look("lead")
    found = {name: faults(visitor.open(path)) for name, path in SCREENS.items()}
    assert not {name: said for name, said in found.items() if said}


def test_screens_of_one_thing(look):
    visitor = look("lead")
    for place in ("/identity/delegations/", "/audit/"):
        page = visitor.open(place)
        path = page.locator("a.open").first.get_attribute("href")
        assert not faults(visitor.open(path))


def test_entries(look):
    visitor = look()
    found = {name: faults(visitor.open(path)) for name, path in ENTRIES.items()}
    assert not {name: said for name, said in found.items() if said}


def test_refusals(look):
    visitor = look("lead")
    found = {name: faults(visitor.open(path)) for name, path in REFUSED.items()}
    visitor.complaints.clear()  # the browser reports the status of the page itself
    assert not {name: said for name, said in found.items() if said}


def test_what_opens_over_a_page(look):
    visitor = look("lead")
    page = visitor.open("/")
    page.keyboard.press("Control+k")
    page.get_by_role("option").first.wait_for()
    assert not faults(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert not faults(page)
    page = visitor.open("/audit/")
    page.locator("a.open").first.click()
    page.get_by_role("dialog", name="Record").get_by_role("heading").first.wait_for()
    assert not faults(page)
    page = visitor.open("/servers/accounts/")
    page.get_by_role("button", name="Quarantine").click()
    assert not faults(page)
