"""Every screen in both themes and both widths: no axe violation, nothing wider than the window, no complaint.

Each page is loaded once and looked at four times. Colours depend on the theme and nothing else does, so the second
theme of a width is asked about contrast alone; a width is asked everything.
"""

from itertools import product

from axe_playwright_python.sync_playwright import Axe

SCREENS = {
    "home": "/",
    "catalog": "/catalog/",
    "nothing-found": "/catalog/?q=zeppelin",
    "server-new": "/catalog/register/",
    "server-wrap": "/catalog/wrap/",
    "server-operations": "/servers/orders/operations/",
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
    "agent-edit": "/identity/agents/builder-bot/edit/",
    "server-edit": "/servers/accounts/edit/",
    "team-edit": "/teams/ledger/edit/",
    "harness": "/teams/ledger/harness/",
    "harness-of-domain": "/teams/payments/harness/",
    "harness-changes": "/teams/ledger/harness/changes/",
    "harness-edit": "/teams/ledger/harness/edit/",
    "check-new": "/teams/ledger/harness/add/",
    "check": "/teams/ledger/harness/checks/contracts/",
    "check-tighten": "/teams/ledger/harness/tighten/platform/static_analysis/",
    "groups": "/teams/ledger/groups/",
    "group": "/groups/accounts/",
    "group-new": "/teams/ledger/groups/new/",
    "keys": "/me/keys/",
    "delegations": "/identity/delegations/",
    "delegation-new": "/identity/delegations/new/",
    "people": "/identity/people/",
    "repositories": "/repositories/",
    "repository-new": "/repositories/register/",
    "repository": "/repositories/ledger/thin/",
    "repository-waiting": "/repositories/ledger/waiting/",
    "repository-failed": "/repositories/ledger/gone/",
    "repository-edit": "/repositories/ledger/shop/edit/",
    "repository-remove": "/repositories/ledger/shop/remove/",
    "pattern-lower": "/repositories/ledger/shop/lower/",
    "pattern-ask": "/repositories/ledger/held/ask/",
    "audit": "/audit/",
    "styleguide": "/styleguide/",
    "password": "/accounts/password/change/",
}
BLUEPRINTS = {
    "blueprints": "/blueprints/",
    "blueprint": "/blueprints/platform/implement-ticket-brownfield/",
    "blueprint-yaml": "/blueprints/platform/implement-ticket-brownfield/yaml/",
    "blueprint-versions": "/blueprints/platform/implement-ticket-brownfield/versions/",
    "blueprint-forks": "/blueprints/platform/implement-ticket-brownfield/forks/",
    "blueprint-history": "/blueprints/platform/implement-ticket-brownfield/history/",
    "blueprint-fork": "/blueprints/platform/implement-ticket-brownfield/fork/",
    "blueprint-new": "/blueprints/propose/",
    "version": "/blueprints/platform/implement-ticket-brownfield/versions/1.1.0/",
    "version-waits": "/blueprints/team.ledger/code-review/versions/1.0.0/",
    "forks": "/forks/",
    "fork": "/forks/ledger/our-ticket/",
    "fork-flow": "/forks/ledger/our-ticket/flow/",
    "fork-yaml": "/forks/ledger/our-ticket/yaml/",
    "fork-edit": "/forks/ledger/our-ticket/edit/",
    "fork-rebase": "/forks/ledger/our-ticket/rebase/",
    "fork-propose": "/forks/ledger/our-ticket/propose/",
    "reviews": "/blueprints/reviews/",
}
CONTEXT = {
    "context": "/context/",
    "context-hits": "/context/?q=what+when+the+export+hangs",
    "context-marked": "/context/?q=postings+of+last+week",
    "context-nothing": "/context/?q=zeppelin&since=7",
    "context-of-team": "/context/ledger/",
    "context-of-domain": "/context/payments/",
    "context-of-platform": "/context/platform/",
    "source": "/context/ledger/sources/runbooks/",
    "source-queued": "/context/ledger/sources/queued/",
    "source-paused": "/context/ledger/sources/waiting/",
    "source-new": "/context/ledger/add/",
    "source-edit": "/context/ledger/sources/runbooks/edit/",
    "source-remove": "/context/ledger/sources/runbooks/remove/",
    "inbox": "/inbox/",
}
ONBOARDING = {
    "onboardings": "/onboarding/",
    "onboarding-team": "/onboarding/01890000-0000-7000-8000-00000000000a/tenant/",
    "onboarding-people": "/onboarding/01890000-0000-7000-8000-00000000000a/people/",
    "onboarding-documents": "/onboarding/01890000-0000-7000-8000-00000000000a/documents/",
    "onboarding-libraries": "/onboarding/01890000-0000-7000-8000-00000000000a/libraries/",
    "onboarding-server": "/onboarding/01890000-0000-7000-8000-00000000000a/server/",
    "onboarding-call": "/onboarding/01890000-0000-7000-8000-00000000000a/call/",
    "adoption": "/teams/ledger/adoption/",
}
ADMIN = {
    "onboarding-begin": "/onboarding/",
    "home-admin": "/",
    "tenant-new": "/tenants/new/",
    "team-admin": "/teams/ledger/",
    "domain-admin": "/teams/payments/",
}
NOBODY = {"home-nobody": "/"}
ENTRIES = {"sign-in": "/accounts/login/", "reset": "/accounts/password/reset/"}
REFUSED = {"missing": "/servers/no-such-thing/", "forbidden": "/identity/people/add/"}
WIDTHS = {1280: 800, 390: 844}
THEMES = ("light", "dark")
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
AXE = Axe().axe_script
RUN = "options => axe.run(options).then(({violations}) => violations)"
EVERYTHING = {"resultTypes": ["violations"], "preload": False}  # a page of ours loads nothing from elsewhere
COLOURS = {**EVERYTHING, "runOnly": ["color-contrast"]}


def look_at(page) -> dict[str, list[str]]:
    """Returns what is wrong with a loaded page, by width and theme."""
    page.evaluate(AXE)
    found = {}
    for (width, height), theme in product(WIDTHS.items(), THEMES):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": height})
        found[f"{width} {theme}"] = _faults(page, COLOURS if theme == THEMES[1] else EVERYTHING)
    return {way: faults for way, faults in found.items() if faults}


def _faults(page, options) -> list[str]:
    wider = page.evaluate(WIDER)
    found = [f"{wider} px wider than the window"] if wider > 0 else []
    for violation in page.evaluate(RUN, options):
        found += [f"{violation['id']}: {node['html'][:120]}" for node in violation["nodes"]]
    return found


def faults_of(visitor, screens) -> dict[str, dict[str, list[str]]]:
    found = {name: look_at(visitor.open(path)) for name, path in screens.items()}
    return {name: faults for name, faults in found.items() if faults}


def start(visit, who=""):
    """Returns a visitor into whose pages axe can be injected, which the policy would refuse."""
    return visit(who, bypass_csp=True)


def test_the_check_finds_what_is_wrong(visit):
    page = start(visit, "lead").open("/")
    page.evaluate("""() => {
        const main = document.querySelector("main"); main.append(document.createElement("input"));
        const faint = document.createElement("p"); faint.textContent = "faint"; faint.style.color = "#777"; main.append(faint);
        faint.style.width = "1500px"; faint.style.background = "#888";
    }""")
    found = look_at(page)
    assert set(found) == {"1280 light", "1280 dark", "390 light", "390 dark"}
    assert all(any("color-contrast" in fault for fault in faults) for faults in found.values())
    assert any("label" in fault for fault in found["390 light"])
    assert any("wider" in fault for fault in found["390 dark"])


def test_screens(visit):
    assert not faults_of(start(visit, "lead"), SCREENS)


def test_screens_of_blueprints(visit):
    assert not faults_of(start(visit, "lead"), BLUEPRINTS)


def test_screens_of_context(visit):
    visitor = start(visit, "lead")
    assert not faults_of(visitor, CONTEXT)
    for place in (
        "/context/ledger/sources/runbooks/?q=access",
        "/context/ledger/sources/runbooks/?q=notes",
        "/inbox/",
    ):
        path = visitor.open(place).locator("a.open").first.get_attribute("href")
        assert not look_at(visitor.open(path))
        if "documents" in path:
            assert not look_at(visitor.open(f"{path}remove/"))


def test_screens_of_onboarding(visit):
    assert not faults_of(start(visit, "lead"), ONBOARDING)


def test_screens_of_others(visit):
    assert not faults_of(start(visit, "admin"), ADMIN)
    assert not faults_of(start(visit, "stranger"), NOBODY)


def test_screens_of_one_thing(visit):
    visitor = start(visit, "lead")
    for place in ("/identity/delegations/", "/audit/", "/repositories/ledger/shop/"):
        page = visitor.open(place)
        path = page.locator("a.open").first.get_attribute("href")
        assert not look_at(visitor.open(path))


def test_entries(visit):
    assert not faults_of(start(visit), ENTRIES)


def test_refusals(visit):
    visitor = start(visit, "lead")
    found = faults_of(visitor, REFUSED)
    visitor.complaints.clear()  # the browser reports the status of the page itself
    assert not found


def test_a_log_row_is_one_line(visit):
    page = visit("admin", viewport={"width": 1280, "height": 800}).open("/audit/")
    heights = page.locator("#results tbody tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert set(heights) <= {36, 37}, heights


def test_what_opens_over_a_page(visit):
    visitor = start(visit, "lead")
    page = visitor.open("/")
    page.keyboard.press("Control+k")
    page.get_by_role("option").first.wait_for()
    assert not look_at(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert not look_at(page)
    page = visitor.open("/audit/")
    page.locator("a.open").first.click()
    page.get_by_role("dialog", name="Record").get_by_role("heading").first.wait_for()
    assert not look_at(page)
    page = visitor.open("/servers/accounts/")
    page.get_by_role("link", name="Quarantine").click()
    page.get_by_role("dialog").get_by_label("Reason").wait_for()
    assert not look_at(page)
    page = visitor.open("/teams/ledger/harness/")
    for row in page.locator("details.tool > summary").all():
        row.click()
    assert not look_at(page)


def test_what_taking_operations_would_do(visit):
    page = start(visit, "lead").open("/servers/orders/operations/")
    page.get_by_role("button", name="Look at what changes").click()
    page.get_by_role("button", name="Take 6 operations").wait_for()
    assert not look_at(page)
