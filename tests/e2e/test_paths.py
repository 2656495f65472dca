"""The main paths, as a person walks them in a real browser, under the real policy."""

import re

from playwright.sync_api import expect


def test_a_stranger_signs_in_and_out(visit):
    page = visit().open("/catalog/")
    page.get_by_label("Email").fill("reviewer@example.test")
    page.get_by_label("Password").fill("wrong password here")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist, .notice.bad").first).to_be_visible()
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Catalog")).to_be_visible()
    page.get_by_role("button", name="Reviewer: settings and sign out").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto("/catalog/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_catalog_is_searched_as_one_types(visit):
    page = visit("lead").open("/catalog/")
    page.keyboard.press("/")
    page.keyboard.type("accounts")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=accounts"))
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.get_by_role("link", name="Accounts ledger").click()
    expect(page.get_by_role("heading", name="Accounts ledger")).to_be_visible()


def test_facets_stay_in_the_address(visit):
    page = visit("lead").open("/catalog/")
    rows = page.locator("#results tbody tr")
    everything = rows.count()
    page.locator("summary", has_text="Tier").click()
    page.get_by_role("link", name="Domain", exact=True).click()
    expect(page).to_have_url(re.compile(r"tier=domain"))
    expect(rows).to_have_count(2)  # the desk, and the domain's context
    page.go_back()
    expect(rows).to_have_count(everything)


def test_a_changed_tool_is_read_and_approved(visit):
    page = visit("lead").open("/")
    page.get_by_role("link", name="Accounts ledger").first.click()
    tool = page.locator("details.tool", has=page.get_by_text("balance", exact=True))
    expect(tool.locator("ins", has_text="important").first).to_be_visible()
    expect(tool.get_by_text("a tag that poses as an instruction")).to_be_visible()
    tool.get_by_role("button", name="Approve the change").click()
    expect(page.get_by_text("balance is approved and pinned.")).to_be_visible()
    expect(page.locator("details.tool", has=page.get_by_text("balance", exact=True))).to_contain_text("Approved")


def test_a_delegation_is_given_and_its_token_shown_once(visit):
    page = visit("lead").open("/identity/delegations/new/?team=ledger")
    page.get_by_label("Accounts ledger (Ledger)").check()
    page.get_by_label("Purpose").fill("Try it in a browser")
    page.get_by_role("button", name="Delegate", exact=True).click()
    expect(page.get_by_text("Try it in a browser")).to_be_visible()
    page.get_by_role("link", name="Mint a token").click()
    page.locator("#sheet").get_by_role("button", name="Mint").click()
    token = page.locator("#token-text")
    expect(token).to_have_text(re.compile(r"^[\w-]+\.[\w-]+\.[\w-]+$"))
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Try it in a browser")).to_be_visible()
    expect(page.locator("#token-text")).to_have_count(0)


def test_a_record_is_verified_beside_the_list(visit):
    page = visit("lead").open("/audit/?kind=intent")
    page.locator("a.open").first.click()
    panel = page.get_by_role("dialog", name="Record")
    expect(panel.get_by_role("heading", name="accounts/balance")).to_be_visible()
    expect(panel).to_contain_text("Lead")
    expect(panel).to_contain_text("builder-bot")
    expect(panel).to_contain_text("matches its commitment")
    panel.get_by_role("button", name="Verify").click()
    expect(panel.get_by_text("The record is in the log.")).to_be_visible()
    with page.expect_download() as download:
        panel.get_by_role("link", name="Proof").click()
    assert download.value.path().read_text().startswith("c2sp.org/tlog-proof@v1\n")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_the_keyboard_reaches_everything(visit):
    page = visit("lead").open("/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search everything")
    expect(field).to_be_focused()
    field.fill("accounts")
    expect(page.get_by_role("option", name="Accounts ledger")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Accounts ledger")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Catalog")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="Accounts ledger")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_enter_waits_for_the_options_of_the_words_typed(visit):
    page = visit("lead").open("/")
    asked = []

    def answer_late(route):
        asked.append(route)
        if len(asked) == 1:  # the first answer comes after the words, which come at once, and Enter
            page.keyboard.insert_text("accounts")
            page.keyboard.press("Enter")
        route.continue_()

    page.route(re.compile(r"/search/"), answer_late)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("heading", name="Accounts ledger")).to_be_visible()
    assert len(asked) == 2


def test_the_theme_is_kept_by_the_server(visit):
    page = visit("lead", color_scheme="light").open("/")
    page.get_by_role("button", name="Lead: settings and sign out").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_refusal_names_the_grant_and_its_giver(visit):
    visitor = visit("member")
    page = visitor.open("/identity/people/add/")
    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    expect(page.get_by_text("Platform admin", exact=True)).to_be_visible()
    assert [text for text in visitor.complaints if "403" in text]
    visitor.complaints.clear()  # the browser reports the status of the page itself


def test_a_steward_adds_a_check_and_every_team_of_the_domain_inherits_it(visit):
    page = visit("steward").open("/teams/payments/")
    page.get_by_role("link", name="Harness").click()
    page.get_by_role("link", name="Add a check").click()
    page.get_by_label("Short name").fill("pan_display")
    page.get_by_label("Title").fill("No full card number is shown (PCI DSS 3.4.1)")
    page.get_by_label("Command").fill("semgrep\nscan\n--config\nrules/pan-display.yaml")
    page.get_by_label("Parameters").fill("max_findings: {direction: down, value: 0}")
    page.get_by_role("button", name="Add the check").click()
    expect(page.get_by_text("pan_display is in force for 1 team.")).to_be_visible()
    page.locator("section", has_text="Inherited by").get_by_role("link", name="Ledger").click()
    expect(page.get_by_role("heading", name="Harness of Ledger")).to_be_visible()
    row = page.locator("details.tool", has=page.get_by_text("pan_display", exact=True))
    expect(row.locator("summary")).to_contain_text("Blocks")
    expect(row.locator("summary")).to_contain_text("Payments")
    row.locator("summary").click()
    expect(row.get_by_role("row", name="max_findings")).to_contain_text("Payments")


def test_a_layer_is_judged_as_one_types_and_written(visit):
    page = visit("lead").open("/teams/ledger/harness/edit/")
    text = page.get_by_role("textbox", name="The layer")
    fine = text.input_value()
    text.fill(fine.replace("min_coverage: 85", "min_coverage: 8"))
    judged = page.locator("#judged")
    expect(judged).to_contain_text("It would be refused.")
    expect(judged).to_contain_text("/tighten/0/parameters/min_coverage")
    text.fill(fine.replace("min_coverage: 85", "min_coverage: 91"))
    expect(judged).to_contain_text("It is sound.")
    page.get_by_role("button", name="Write the layer").click()
    row = page.locator("details.tool", has=page.get_by_text("tests", exact=True))
    row.locator("summary").click()
    expect(row.get_by_role("row", name="min_coverage")).to_contain_text("91")
    expect(row.get_by_role("row", name="min_coverage")).to_contain_text("Ledger")


def test_a_layer_is_previewed_without_any_script(visit):
    page = visit("lead", java_script_enabled=False).open("/teams/ledger/harness/edit/")
    text = page.get_by_role("textbox", name="The layer")
    text.fill("harness: 1\nowner: {tier: team, tenant: rival}\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#judged")).to_contain_text("This is the layer of the team 'ledger'.")
    expect(text).to_have_value("harness: 1\nowner: {tier: team, tenant: rival}\n")


def test_the_pages_work_without_any_script(visit):
    page = visit("lead", java_script_enabled=False).open("/catalog/?q=accounts")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Accounts ledger").click()
    expect(page.get_by_role("heading", name="Accounts ledger")).to_be_visible()


def test_a_record_is_verified_without_any_script(visit):
    page = visit("lead", java_script_enabled=False).open("/audit/?kind=intent")
    page.locator("a.open").first.click()
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("The record is in the log.")).to_be_visible()
    expect(page.get_by_role("heading", name="accounts/balance")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_a_key_is_made_and_revoked(visit):
    page = visit("lead").open("/")
    page.get_by_role("button", name="Lead: settings and sign out").click()
    page.get_by_role("link", name="API keys").click()
    page.get_by_label("Name").fill("nightly report")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#key-text")).to_have_text(re.compile(r"^hanse_[\w-]{20,}$"))
    page.goto("/me/keys/")
    expect(page.locator("#key-text")).to_have_count(0)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke nightly report").click()
    expect(page.get_by_text("The key nightly report is revoked")).to_be_visible()


def test_a_team_is_made_and_joins_a_domain(visit):
    page = visit("admin").open("/tenants/new/")
    page.get_by_label("Name", exact=True).fill("Atlas")
    page.get_by_label("Short name").fill("atlas")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()
    page.get_by_label("Domain to join").select_option(label="Payments")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Atlas is in Payments now")).to_be_visible()


def test_a_measurement_under_way_is_asked_about_by_itself(visit):
    page = visit("lead").page
    with page.expect_response(lambda answer: answer.url.endswith("/progress/")) as asked:
        page.goto("/repositories/ledger/waiting/")
    assert asked.value.status == 200
    page.get_by_role("status").get_by_text("Waits for a worker.").wait_for()


def test_what_is_missing_opens_level_by_level(visit):
    page = visit("member").open("/repositories/ledger/thin/")
    assert page.get_by_text("Commit a lock file next to each manifest.").is_visible()
    later = page.get_by_text("Run the set-up in a sandbox.")
    assert not later.is_visible()
    page.get_by_text("Level 4, proven").click()
    assert later.is_visible()


def test_servers_agents_and_delegations_need_no_script(visit):
    visitor = visit("lead", java_script_enabled=False)
    page = visitor.open("/catalog/register/")
    page.get_by_label("Name", exact=True).fill("Plain")
    page.get_by_label("Short name").fill("plain")
    page.get_by_label("Address").fill("http://169.254.169.254/mcp")
    page.get_by_role("button", name="Register as a draft").click()
    expect(page.locator(".errorlist").first).to_contain_text("metadata")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Plain")
    page.get_by_label("Address").fill("http://8.8.8.8/mcp")
    page.get_by_role("button", name="Register as a draft").click()
    expect(page.get_by_role("heading", name="Plain", exact=True)).to_be_visible()
    page.get_by_role("link", name="Quarantine").click()
    page.get_by_label("Reason").fill("Not looked at yet.")
    page.get_by_role("button", name="Quarantine").click()
    expect(page.get_by_text("Not looked at yet.")).to_be_visible()

    page.goto("/servers/accounts/")
    tool = page.locator("details.tool", has=page.get_by_text("close_books", exact=True))
    tool.locator("summary").first.click()
    tool.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("close_books is approved and pinned.")).to_be_visible()

    page.goto("/identity/agents/register/")
    page.get_by_label("Name", exact=True).fill("Plain clerk")
    page.get_by_label("Short name").fill("plain-clerk")
    page.get_by_role("button", name="Register", exact=True).click()
    page.get_by_role("link", name="Delegate to it").click()
    page.get_by_label("Accounts ledger (Ledger)").check()
    page.get_by_label("Purpose").fill("Without a script")
    page.get_by_role("button", name="Delegate", exact=True).click()
    page.get_by_role("link", name="Mint a token").click()
    page.get_by_role("button", name="Mint", exact=True).click()
    expect(page.locator("#token-text")).to_have_text(re.compile(r"^[\w-]+\.[\w-]+\.[\w-]+$"))
    page.get_by_role("link", name="Done").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_text("Its tokens stop at their next call.")).to_be_visible()
    page.goto("/identity/agents/plain-clerk/")
    page.get_by_role("link", name="Suspend").click()
    page.get_by_label("Reason").fill("Enough.")
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("Enough.")).to_be_visible()

    page.goto("/teams/ledger/")
    page.get_by_role("link", name="Give a role").click()
    page.get_by_label("Person").fill("nobody-of-that-name")
    page.get_by_role("button", name="Give the role").click()
    expect(page.locator(".errorlist").first).to_contain_text("Nobody has this handle or address.")
    expect(page.get_by_label("Person")).to_have_value("nobody-of-that-name")
    assert len(visitor.complaints) == 2, "what was refused, and nothing else"
    assert all("422" in said for said in visitor.complaints)
    visitor.complaints.clear()
