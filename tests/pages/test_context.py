"""The screens of context: what is written down is found, shown and brought, and nothing in a document is ever markup."""

import io
import json
import re
import zipfile
from copy import deepcopy

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audit.models import Event
from portal import uploading
from registry.context import queries, tasks
from registry.context.memories import Gap
from registry.context.models import Document, Import, ImportItem, Source
from registry.context.services.sources import change_source
from registry.context.working import work_on
from tenants.rules import Sensitivity
from tests.pages.written import gap_of, read

RUNBOOKS = "/context/ledger/sources/runbooks/"
QUESTION = {"q": "what when the export hangs"}


@pytest.fixture
def woken(monkeypatch, django_capture_on_commit_callbacks):
    """Returns the ids of imports to which a worker was sent."""
    asked = []
    monkeypatch.setattr(tasks.run_import, "delay", asked.append)
    with django_capture_on_commit_callbacks(execute=True):
        yield asked


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def source(slug="runbooks", team="ledger"):
    return Source.objects.get(owner__slug=team, slug=slug)


def document(path="runbook.md", team="ledger"):
    return Document.objects.get(owner__slug=team, path=path)


def page_of(row):
    return f"/context/documents/{row.uid}/"


def file(name, content=b"# Title\n\nWords."):
    return SimpleUploadedFile(name, content)


def archive(**members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    return packed.getvalue()


def bring(client, *files):
    return client.post(f"{RUNBOOKS}bring/", {"documents": list(files)})


def finish():
    """Reads what was brought last, as a worker would, and returns the items by path."""
    row = Import.objects.latest("pk")
    while work_on(row.pk, seconds=60):
        pass
    return {item.path: item for item in ImportItem.objects.filter(of=row)}


# --- searching ------------------------------------------------------------------------------------------------------


def test_without_a_question_each_tenant_one_sees_has_its_coverage(browse):
    text = text_of(browse("lead").get("/context/"))
    assert "Runbooks" not in text
    names = re.findall(r'class="open" href="/context/([a-z]+)/"', text)
    assert names == ["platform", "payments", "ledger"]
    figures = browse("lead").get("/context/").context["figures"]
    of = figures[source().owner_id]
    assert (of.sources, of.documents, of.withheld, of.waiting, of.remembered, of.gaps) == (3, 5, 1, 1, 1, 1)
    assert (of.stale_documents, of.asked_in_vain) == (4, 1)


def test_coverage_of_somebody_who_sees_nothing_names_who_brings_documents(browse, cast):
    assert "Who works here adds sources" in text_of(browse("outsider").get("/context/north/"))
    assert browse("stranger").get("/context/ledger/").status_code == 404


def test_a_hit_says_where_it_stands_and_its_words_are_marked(browse):
    text = text_of(browse("member").get("/context/", QUESTION))
    assert re.search(r"<mark>[Ee]xport\w*</mark>", text)
    for said in ("Runbooks of Ledger", "runbook.md", "When the export hangs", "Internal", "line "):
        assert said in text
    assert f'href="{page_of(document())}?passage=' in text


def test_the_teams_word_counts_before_the_platforms(browse):
    text = text_of(browse("member").get("/context/", QUESTION))
    assert "Overruled" in text
    assert "what Ledger says in Closing the books counts for the team" in text
    assert text.index("Closing the books") < text.index("Overruled")
    # Who sees several teams is told nothing of the kind, until one of the teams is chosen.
    assert "Overruled" not in text_of(browse("admin").get("/context/", QUESTION))
    assert "Overruled" in text_of(browse("admin").get("/context/", {**QUESTION, "team": "ledger"}))


def test_nothing_in_a_document_is_markup(browse):
    client = browse("lead")
    for response in (
        client.get("/context/", {"q": "postings of last week"}),
        client.get(page_of(document("notes.md"))),
        client.get("/context/", {"q": '<script>alert("q")</script>'}),
    ):
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
        assert "<b>last</b>" not in response.content.decode()
    shown = client.get(page_of(document("notes.md"))).content.decode()
    assert "Postings of" in shown
    assert "Orders to ignore instructions" in shown


def test_the_address_narrows_what_is_found(browse):
    client = browse("member")

    def owners(**asked):
        rows = json.loads(client.get("/context/", {**QUESTION, "format": "json", **asked}).content)
        return {row["owner"] for row in rows}

    assert owners() == {"ledger", "platform"}
    assert owners(tier="platform") == {"platform"}
    assert owners(source="ledger/runbooks") == {"ledger"}
    assert owners(since="7") == owners(tier="domain") == set()
    assert owners(tier="odd", since="odd", source="rival/runbooks", team="rival") == {"ledger", "platform"}
    text = text_of(client.get("/context/", {**QUESTION, "tier": "domain"}))
    assert "Nothing was found" in text
    assert 'href="?q=what+when+the+export+hangs"' in text  # the chosen tier, dropped again


def test_nobody_finds_what_another_team_wrote(browse):
    found = json.loads(browse("lead").get("/context/", {**QUESTION, "format": "json"}).content)
    assert found
    assert "rival" not in {row["owner"] for row in found}
    assert "Runbooks of Rival" not in text_of(browse("lead").get("/context/", {"q": "Rival runbooks postings"}))
    everything = json.loads(browse("admin").get("/context/", {**QUESTION, "format": "json"}).content)
    assert {"rival", "ledger"} <= {row["owner"] for row in everything}


def test_nobody_is_shown_what_is_above_their_clearance(browse, cast):
    change_source(actor=cast.lead, source=source(), sensitivity=Sensitivity.RESTRICTED)
    client = browse("lead")
    found = json.loads(client.get("/context/", {**QUESTION, "format": "json"}).content)
    assert {row["owner"] for row in found} == {"platform"}
    listed = text_of(client.get(RUNBOOKS))
    assert "Missing: <b>restricted clearance</b>" in listed
    assert "runbook.md" not in listed
    assert json.loads(client.get(RUNBOOKS, {"format": "json"}).content) == []
    assert client.get(page_of(document())).status_code == 404
    assert client.post(f"{page_of(document())}remove/", {"reason": "Old."}).status_code == 404
    assert "Closing the books" not in text_of(client.get("/search/?q=closing"))


def test_without_an_embedding_the_answer_says_what_it_goes_by(browse, monkeypatch):
    monkeypatch.setattr(queries, "embedder", lambda: None)
    text = text_of(browse("lead").get("/context/", QUESTION))
    assert "Found by words alone: this installation has no embedding" in text
    assert "best first, by words, as agents of Ledger find them" in text


@pytest.mark.parametrize("question", ["x" * 1_001, "a\0b"])
def test_what_cannot_be_asked_is_refused(browse, question):
    assert browse("lead").get("/context/", {"q": question}).status_code == 422


@pytest.mark.parametrize("question", ['"', "-", "or or", "the of", "%", "(a & b", "\\", "🙂", "a" * 1_000])
def test_odd_questions_are_answered(browse, question):
    assert browse("lead").get("/context/", {"q": question}).status_code == 200


# --- a tenant's part ------------------------------------------------------------------------------------------------


def test_the_page_of_a_team_shows_sources_facts_and_questions(browse):
    text = text_of(browse("lead").get("/context/ledger/"))
    for said in ("Runbooks of Ledger", "how is ledger audited?", "The queue of Ledger drains slowly.", "Erase all"):
        assert said in text
    looked = text_of(browse("steward").get("/context/ledger/"))
    assert "Erase" not in looked
    assert "Add a source" not in looked
    assert "Reviewers of Ledger, and who keeps it" in looked


def test_questions_are_erased_one_by_one_or_all(browse, cast):
    assert browse("member").post("/context/ledger/gaps/forget/", {"gap": "all"}).status_code == 403
    assert browse("member").post("/context/ledger/gaps/forget/", {"gap": gap_of(cast.team).uid}).status_code == 302
    assert not Gap.objects.filter(owner=cast.team).exists()
    other = gap_of(cast.rival)
    for uid in (other.uid, "", "odd"):
        assert browse("admin").post("/context/ledger/gaps/forget/", {"gap": uid}).status_code == 404
    Gap.objects.create(owner=cast.team, text="why?")
    assert browse("lead").post("/context/ledger/gaps/forget/", {"gap": "all"}).status_code == 302
    assert list(Gap.objects.values_list("owner__slug", flat=True)) == ["rival"]


# --- a source -------------------------------------------------------------------------------------------------------


def test_a_source_is_added_changed_and_removed(browse, cast):
    client = browse("member")
    facts = {"name": "Notes", "slug": "notes", "kind": "files", "location": "a drawer", "sensitivity": "1"}
    assert client.post("/context/ledger/add/", facts).url == "/context/ledger/sources/notes/"
    again = client.post("/context/ledger/add/", facts)
    assert again.status_code == 422
    assert "There is a source “notes” already." in text_of(again)
    assert client.post("/context/ledger/add/", {**facts, "slug": "b", "sensitivity": "9"}).status_code == 422
    edit = "/context/ledger/sources/notes/edit/"
    stale = client.post(edit, {**facts, "version": 7})
    assert stale.status_code == 412
    assert client.post(edit, {**facts, "sensitivity": "2", "version": 1}).status_code == 302
    lowered = client.post(edit, {**facts, "version": 2})
    assert lowered.status_code == 403
    assert "Team lead in ledger" in text_of(lowered)
    assert client.post("/context/ledger/sources/notes/remove/", {"reason": "Old."}).status_code == 403
    assert browse("lead").post("/context/ledger/sources/notes/remove/", {"reason": " "}).status_code == 422
    assert browse("lead").post("/context/ledger/sources/notes/remove/", {"reason": "Old."}).status_code == 302
    assert not Source.objects.filter(slug="notes").exists()
    assert Event.objects.latest("id").verb == "registry.source.removed"


def test_documents_are_listed_narrowed_and_exported(browse):
    client = browse("lead")

    def paths(query=""):
        return [row["path"] for row in json.loads(client.get(f"{RUNBOOKS}?format=json{query}").content)]

    assert paths() == ["access.md", "again.md", "notes.md", "runbook.md"]
    assert paths("&state=withheld") == ["access.md"]
    assert paths("&state=marked") == ["notes.md"]
    assert len(paths("&state=copy")) == 1
    assert len(paths("&state=stale")) == 4
    assert paths("&q=runb") == ["runbook.md"]
    assert paths("&kind=pdf") == []
    assert paths("&kind=markdown&language=odd") == paths()
    text = text_of(client.get(RUNBOOKS))
    assert "broken.pdf" in text
    assert "1 failed" in text


def test_what_failed_stands_first_with_its_reason(browse):
    row = Import.objects.get(source=source())
    items = browse("lead").get(RUNBOOKS).context["items"]
    assert items[0].path == "broken.pdf"
    assert items[0].fault
    assert row.state == "done"


def test_a_reading_is_paused_resumed_cancelled_and_tried_again(browse, woken):
    client, waiting = browse("member"), Import.objects.get(owner__slug="ledger", source__slug="waiting")
    acts = f"/context/ledger/sources/waiting/imports/{waiting.uid}"
    text = text_of(client.get("/context/ledger/sources/waiting/"))
    assert "Resume" in text
    assert 'hx-trigger="every 2s"' not in text  # nothing happens while it is paused
    assert client.post(f"{acts}/resume/").status_code == 302
    assert 'hx-trigger="every 2s"' in text_of(client.get("/context/ledger/sources/waiting/"))
    fragment = client.get(f"{acts}/", HTTP_HX_REQUEST="true")
    assert fragment.status_code == 200
    assert "HX-Refresh" not in fragment.headers
    assert client.post(f"{acts}/pause/").status_code == 302
    assert client.post(f"{acts}/cancel/").status_code == 302
    assert client.get(f"{acts}/", HTTP_HX_REQUEST="true").headers["HX-Refresh"] == "true"
    assert client.post(f"{acts}/cancel/").status_code == 409
    failed = Import.objects.get(source=source())
    assert client.post(f"{RUNBOOKS}imports/{failed.uid}/retry/").status_code == 302
    assert client.post(f"{acts}/retry/").status_code == 409
    # Only of its own source, and only of a source that one sees.
    assert client.post(f"{RUNBOOKS}imports/{waiting.uid}/pause/").status_code == 404
    foreign = Import.objects.get(owner__slug="rival", source__slug="waiting")
    assert client.post(f"/context/rival/sources/waiting/imports/{foreign.uid}/resume/").status_code == 404
    assert client.post(f"/context/ledger/sources/waiting/imports/{foreign.uid}/resume/").status_code == 404


def test_the_newest_reading_stands_first(browse):
    bring(browse("lead"), file("new.md"), file("broken.docx", b"no"))
    queued = browse("lead").get(RUNBOOKS)
    assert [row.state for row in queued.context["readings"]] == ["queued", "done"]
    assert [row.path for row in queued.context["items"]] == ["new.md", "broken.docx"]
    assert "Being read" in text_of(queued)
    finish()
    ended = browse("lead").get(RUNBOOKS).context
    first = ended["reading"]
    assert (first.done, first.failed, first.waiting, first.settled, first.total) == (1, 1, 0, 2, 2)
    assert ended["items"][0].path == "broken.docx"


def test_a_worker_is_woken_when_there_is_something_to_do(browse, django_capture_on_commit_callbacks, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.run_import, "delay", asked.append)
    waiting = Import.objects.get(owner__slug="ledger", source__slug="waiting")
    acts = f"/context/ledger/sources/waiting/imports/{waiting.uid}"
    with django_capture_on_commit_callbacks(execute=True):
        browse("lead").post(f"{acts}/resume/")
    assert asked == [waiting.pk]
    with django_capture_on_commit_callbacks(execute=True):
        browse("lead").post(f"{acts}/pause/")
    assert asked == [waiting.pk]
    with django_capture_on_commit_callbacks(execute=True):
        bring(browse("lead"), file("new.md"))
    assert asked == [waiting.pk, Import.objects.latest("pk").pk]


# --- bringing documents ---------------------------------------------------------------------------------------------


def test_several_files_are_brought_and_read(browse):
    answer = bring(browse("member"), file("a.md"), file("b.txt", b"Plain words."))
    assert (answer.status_code, answer.url) == (302, RUNBOOKS)
    assert {path: item.state for path, item in finish().items()} == {"a.md": "done", "b.txt": "done"}
    assert document("a.md").title == "Title"


def test_a_form_without_its_token_is_refused(standing, cast):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = deepcopy(standing[1]["lead"])
    for way, data in (("bring", {"documents": [file("a.md")]}), ("paste", {"title": "A", "text": "A"})):
        assert strict.post(f"{RUNBOOKS}{way}/", data).status_code == 403
    assert not Document.objects.filter(path="a.md").exists()


def test_what_is_too_large_says_so_at_the_document_and_is_not_kept(browse, monkeypatch):
    monkeypatch.setattr(uploading, "limit_of", lambda path: 1_000 if path.endswith(".md") else 200_000)
    monkeypatch.setattr("portal.pages.bringing.limit_of", lambda path: 1_000 if path.endswith(".md") else 200_000)
    monkeypatch.setattr("portal.pages.bringing.too_large", lambda path, size: "Too large." if size > 1_000 else "")
    monkeypatch.setattr(uploading, "MAX_TOTAL", 150_000)
    large, fits, straw = file("large.md", b"x" * 5_000), file("fits.md"), file("straw.txt", b"y" * 180_000)
    assert bring(browse("lead"), large, fits, straw, file("after.md")).status_code == 302
    items = {item.path: item for item in ImportItem.objects.filter(of=Import.objects.latest("pk"))}
    assert (items["large.md"].fault, items["large.md"].content) == ("Too large.", None)
    assert "There was no room for it" in items["straw.txt"].fault
    assert items["fits.md"].state == items["after.md"].state == "waiting"


def test_the_limits_of_real_documents_hold(browse):
    bring(browse("lead"), file("large.md", b"x" * 4_000_001))
    item = ImportItem.objects.get(of=Import.objects.latest("pk"))
    assert item.state == "failed"
    assert "It has 4,000,001 bytes; a document of this kind may have 4,000,000." in item.fault


def test_an_archive_that_leads_out_of_its_source_is_read_without_what_does(browse):
    packed = archive(
        **{"../../etc/passwd.md": "# Out", "/root.md": "# Out", "in/good.md": "# In\n\nWords.", "x\\y.md": "#"}
    )
    assert bring(browse("lead"), file("wiki.zip", packed)).status_code == 302
    items = finish()
    assert items["wiki.zip/in/good.md"].state == "done"
    rest = [item for path, item in items.items() if path != "wiki.zip/in/good.md"]
    assert rest
    assert {item.state for item in rest} == {"failed"}
    assert not Document.objects.filter(path__contains="..").exists()


def test_a_name_that_leads_elsewhere_is_a_name_only(browse):
    assert bring(browse("lead"), file("../../../secret.md"), file("a\0b.md")).status_code == 302
    assert set(finish()) <= {"secret.md", "ab.md", "a�b.md"}


@pytest.mark.parametrize(
    ("files", "said"),
    [([], "required"), ([file("a.md"), file("a.md")], "Two of them are called a.md")],
    ids=["none", "twice"],
)
def test_what_is_not_files_of_a_source_is_explained(browse, files, said):
    answer = bring(browse("lead"), *files)
    assert answer.status_code == 422
    assert said in text_of(answer)


def test_too_many_files_and_a_broken_upload_are_refused(browse, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
    answer = bring(browse("lead"), *[file(f"{n}.md") for n in range(4)])
    assert answer.status_code == 413
    assert "At most 3 files at once" in text_of(answer)
    broken = browse("lead").post(f"{RUNBOOKS}bring/", b"--x\r\n", content_type="multipart/form-data; boundary=\x01")
    assert broken.status_code == 422
    assert browse("stranger").post(f"{RUNBOOKS}bring/", {"documents": [file("a.md")]}).status_code == 404
    assert Client().post(f"{RUNBOOKS}bring/", {"documents": [file("a.md")]}).url.startswith("/accounts/login/")


def test_while_a_source_is_read_nothing_more_is_brought(browse):
    client = browse("lead")
    assert bring(client, file("a.md")).status_code == 302
    second = bring(client, file("b.md"))
    assert second.status_code == 422
    assert "is being read already" in text_of(second)
    pasted = client.post(f"{RUNBOOKS}paste/", {"title": "B", "text": "Said <b>so</b>."})
    assert pasted.status_code == 422
    assert "Said &lt;b&gt;so&lt;/b&gt;." in text_of(pasted)  # nobody types it twice
    assert Import.objects.filter(source=source(), state="queued").count() == 1


def test_a_pasted_text_is_a_document_and_the_same_title_replaces_it(browse):
    client = browse("member")
    paste = {"title": "Who to call?", "text": "## At night\r\n\r\nNobody."}
    assert client.post(f"{RUNBOOKS}paste/", paste).status_code == 302
    assert set(finish()) == {"who-to-call.md"}
    assert document("who-to-call.md").title == "Who to call?"
    client.post(f"{RUNBOOKS}paste/", {**paste, "text": "# Who to call\n\nThe lead."})
    finish()
    found = document("who-to-call.md")
    assert "The lead." in text_of(client.get(page_of(found)))
    for bad in ({"title": "!?", "text": "a"}, {"title": "a", "text": " "}, {"title": "x" * 121, "text": "a"}):
        assert client.post(f"{RUNBOOKS}paste/", bad).status_code == 422
    assert client.post(f"{RUNBOOKS}paste/", {"title": "a\0", "text": "a"}).status_code == 422


# --- a document -----------------------------------------------------------------------------------------------------


def test_a_document_shows_its_passages_and_where_it_comes_from(browse):
    text = text_of(browse("steward").get(page_of(document())))
    for said in ("When the export hangs", "make reconcile", "runbook.md", document().digest, "markdown", "english"):
        assert said in text
    assert "Remove" not in text
    assert "Who works in Ledger may remove it" in text


def test_what_is_withheld_is_named_and_not_shown(browse):
    text = text_of(browse("lead").get(page_of(document("access.md"))))
    assert "1 passage withheld" in text
    assert "an AWS key" in text
    assert "AKIA" not in text


def test_copies_name_each_other(browse):
    first, second = sorted((document("runbook.md"), document("again.md")), key=lambda row: row.copy_of_id or 0)
    assert second.copy_of_id == first.pk
    assert page_of(second) in text_of(browse("lead").get(page_of(first)))
    copied = text_of(browse("lead").get(page_of(second)))
    assert page_of(first) in copied
    assert "When the export hangs" in copied


def test_a_long_document_is_shown_in_parts_and_a_hit_leads_to_its_own(browse, cast):
    body = "# Long\n\n" + "\n\n".join(f"## Part {n}\n\n{'word ' * 150}{n}." for n in range(120))
    read(source(), cast.lead, {"long.md": body})
    found = document("long.md")
    last = found.chunks.order_by("ordinal").last()
    page = browse("lead").get(page_of(found), {"passage": last.uid})
    assert f'id="p-{last.uid}"' in page.content.decode()
    assert len(page.context["passages"]) <= 50
    assert page.context["next"] is None
    first = browse("lead").get(page_of(found))
    assert [row.ordinal for row in first.context["passages"]] == list(range(50))
    for odd in ({"passage": "odd"}, {"passage": document().uid}, {"from": "-1"}, {"from": "٣"}, {"from": "9" * 30}):
        assert browse("lead").get(page_of(found), odd).context["first"] == 0


def test_a_document_is_removed_with_a_reason(browse):
    found = document("notes.md")
    assert browse("member").post(f"{page_of(found)}remove/", {"reason": ""}).status_code == 422
    assert browse("member").post(f"{page_of(found)}remove/", {"reason": "Hostile."}).url == RUNBOOKS
    assert browse("member").get(page_of(found)).status_code == 404
    assert Event.objects.latest("id").verb == "registry.document.removed"
