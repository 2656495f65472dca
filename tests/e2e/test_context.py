"""Context in a browser: a question asked with the keyboard, and documents brought, paused and cancelled."""

from tests.pages.written import RUNBOOK


def test_a_question_leads_to_the_passage(visit):
    page = visit("lead").open("/context/")
    page.keyboard.press("/")
    page.keyboard.type("what when the export hangs")
    page.keyboard.press("Enter")
    page.wait_for_url("**/context/?q=*")
    assert page.locator("mark").count() > 1
    page.get_by_role("link", name="Closing the books").first.click()
    page.wait_for_url("**/context/documents/**")
    passage = page.locator(f"[id='{page.url.partition('#')[2]}']")
    assert "Stop the exporter" in passage.inner_text()


def test_documents_are_brought_and_their_reading_is_in_hand(visit):
    page = visit("lead").open("/context/ledger/add/")
    page.get_by_label("Name", exact=True).fill("Brought")
    page.get_by_label("Short name").fill("brought")
    page.get_by_role("button", name="Add it").click()
    page.get_by_label("Files").set_input_files(
        {"name": "runbook.md", "mimeType": "text/markdown", "buffer": RUNBOOK.encode()}
    )
    page.get_by_role("button", name="Bring files").click()
    reading = page.get_by_role("region", name="Being read")
    reading.get_by_text("runbook.md").wait_for()
    with page.expect_response("**/imports/*/") as asked:  # it asks again by itself
        pass
    assert asked.value.status == 200
    reading.get_by_role("button", name="Pause").click()
    reading.get_by_role("button", name="Resume").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    reading.get_by_role("button", name="Cancel").click()
    page.get_by_text("The reading is cancelled. What it has read stays.").wait_for()


def test_a_question_and_documents_need_no_script(visit):
    visitor = visit("member", java_script_enabled=False)
    assert visitor.open("/context/?q=export").locator("mark").count()
    page = visitor.open("/context/ledger/sources/runbooks/")
    page.locator("summary").filter(has_text="Paste a text").click()
    page.get_by_label("Title").fill("Without a script")
    page.get_by_label("Text", exact=True).fill("It works.")
    page.get_by_role("button", name="Bring the text").click()
    page.get_by_role("region", name="Being read").get_by_text("without-a-script.md").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("The reading is cancelled. What it has read stays.").wait_for()
