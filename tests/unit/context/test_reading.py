"""What each format gives, and that bad input is one clear sentence at the document."""

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.context.entries import Entry, prepared, too_large
from registry.context.reading import archives, formats
from registry.context.reading.archives import members
from registry.context.reading.child import answer
from registry.context.reading.formats import format_of, is_wanted, read_text
from registry.context.reading.isolation import read_document
from registry.context.reading.sections import Unreadable
from tests.apps.context.bringing import AT


def said(reading):
    return [(" / ".join(section.heading), [block.text for block in section.blocks]) for section in reading.sections]


def test_markdown_keeps_lines_whole_tables_and_its_title():
    text = b"---\ntitle: The guide\n---\n# One\n\nhello\n\n## Two\n\n```\n# no heading\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    reading = read_text("a.md", text)
    assert reading.title == "The guide"
    assert said(reading) == [
        ("One", ["hello"]),
        ("One / Two", ["```\n# no heading\n```", "| a | b |\n|---|---|\n| 1 | 2 |"]),
    ]
    assert [block.line for section in reading.sections for block in section.blocks] == [6, 10, 14]
    assert [block.is_whole for section in reading.sections for block in section.blocks] == [False, True, True]


def test_html_gives_what_a_reader_sees_and_nothing_that_acts():
    text = (
        b"<html><head><title>Runbook</title><style>p{x:y}</style><script>alert('secret')</script></head><body onload=evil()>"
        b"<nav>Home</nav><h1>Deploy</h1><p>On <b>Tuesday</b>.<img src=x onerror=evil()><p>By <a href='javascript:evil()'>hand</a>"
        b"<svg><script>evil()</script></svg><iframe src=http://x></iframe><h2>Why</h2><pre>a\n  b</pre><template>evil()</template>"
    )
    reading = read_text("a.html", text)
    assert reading.title == "Runbook"
    assert said(reading) == [("Deploy", ["On Tuesday.", "By hand"]), ("Deploy / Why", ["a\n  b"])]


def test_plain_text_knows_underlined_and_marked_headings():
    text = b"Guide\n=====\n\nhello\nyou\n\nPart\n----\n\nmore\n\nOther\n-----\n\nrest\n"
    assert said(read_text("a.rst", text)) == [
        ("Guide", ["hello\nyou"]),
        ("Guide / Part", ["more"]),
        ("Guide / Other", ["rest"]),
    ]
    assert said(read_text("a.adoc", b"= Guide\n\nhello\n\n== Part\n\nmore\n")) == [
        ("Guide", ["hello"]),
        ("Guide / Part", ["more"]),
    ]


def test_code_gives_its_comments_under_what_they_explain():
    text = (
        b'"""What this module is for, in a sentence."""\n\n\ndef pay(amount):\n    """Pays the amount and says to whom."""\n'
        b"    return 1  # short\n\n\n# Each ledger is kept for ten years,\n# because the law says so.\nclass Ledger:\n    x = 1\n"
    )
    reading = read_text("src/pay.py", text)
    assert reading.title == "pay.py"
    assert said(reading) == [
        ("", ["What this module is for, in a sentence."]),
        ("pay", ["Pays the amount and says to whom."]),
        ("Ledger", ["Each ledger is kept for ten years,\nbecause the law says so."]),
    ]
    java = b"/**\n * Books one payment and keeps a copy.\n */\npublic final class Booking {\n}\n"
    assert said(read_text("Booking.java", java)) == [("Booking", ["Books one payment and keeps a copy."])]


def api(operations=2, **over):
    paths = {
        f"/books/{n}": {"get": {"operationId": f"getBook{n}", "summary": f"Reads book {n}"}} for n in range(operations)
    }
    return {"openapi": "3.1.0", "info": {"title": "Books", "version": "1"}, "paths": paths} | over


def test_openapi_gives_a_section_for_each_operation():
    reading = read_text("books.json", json.dumps(api(900)).encode())
    assert reading.title == "Books"
    assert len(reading.sections) == 901
    assert ("Books / GET /books/7", ["GET /books/7 getBook7\nReads book 7"]) in said(reading)


def test_openapi_follows_references_inside_and_never_outside():
    parameter = {"$ref": "http://169.254.169.254/latest"}
    circle = {"$ref": "#/components/parameters/a"}
    operation = {"get": {"parameters": [parameter, circle, {"$ref": "#/components/parameters/id"}]}}
    components = {
        "parameters": {"a": {"$ref": "#/components/parameters/b"}, "b": circle, "id": {"name": "id", "in": "path"}}
    }
    reading = read_text("a.json", json.dumps(api(0, paths={"/x": operation}, components=components)).encode())
    text = said(reading)[-1][1][0]
    assert "described elsewhere (http://169.254.169.254/latest), which is not read" in text
    assert "Parameter id (path)" in text


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("a.md", b"\x00\x01\x02" * 99, "not text"),
        ("a.md", b"\xff\xfea", "UTF-16"),
        ("a.md", "words \ufeff".encode("utf-16-le") * 9, "UTF-8"),
        ("a.md", b"x\n" * (formats.MAX_LINES + 1), "lines"),
        ("a.txt", b"\n" * 1_000_000, "lines"),
        ("a.md", b"x" * (formats.MAX_TEXT + 1), "bytes"),
        ("a.json", b'{"a": 1}', "no OpenAPI"),
        ("a.json", b'{"openapi": ', "cannot be read"),
        ("a.json", b'{"openapi":' * 40_000, "cannot be read|nested"),
        ("a.yaml", b"openapi: 3\n" + b"a: &a [x]\n" * 200, "anchors"),
        ("a.exe", b"MZ", "format"),
        ("a.pdf", b"no pdf", "not a PDF"),
        ("a.pdf", b"%PDF-1.7\nbroken", "damaged"),
        ("a.docx", b"PK\x03\x04cut off", "whole"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted"),
    ],
)
def test_bad_input_is_one_sentence(path, content, words):
    with pytest.raises(Unreadable, match=words) as refused:
        read_document(path, content)
    assert len(refused.value.message) < 300


def test_too_many_operations_are_refused():
    with pytest.raises(Unreadable, match="operations"):
        read_text("a.json", json.dumps(api(2_001)).encode())


def test_a_pdf_of_half_a_gigabyte_is_refused_by_its_size_alone():
    assert "524,288,000 bytes" in too_large("a.pdf", 500 * 1024 * 1024)
    assert not too_large("a.pdf", 40_000_000)


@pytest.mark.parametrize(
    "content",
    ["Zürich — “done”".encode("cp1252"), "Zürich — “done”".encode("utf-16"), "\ufeffZürich — “done”".encode()],
)
def test_other_encodings_are_read(content):
    assert said(read_text("a.txt", content)) == [("", ["Zürich — “done”"])]


@given(
    st.binary(max_size=400) | st.text(max_size=400).map(str.encode),
    st.sampled_from(["a.md", "a.html", "a.rst", "a.py", "a.json", "a.js"]),
)
def test_no_bytes_break_a_reader(content, path):
    try:
        reading = read_text(path, content)
    except Unreadable:
        return
    assert all(block.text.strip() for section in reading.sections for block in section.blocks)


@pytest.mark.parametrize("unit", [b"[", b"> ", b"* ", b"<div>", b"`", b"![", b"| ", b"&a", b"(", b"#"])
def test_deep_nesting_comes_to_an_end(unit):
    for path in ("a.md", "a.html"):
        try:
            reading = read_document(path, unit * 20_000)
        except Unreadable:
            continue
        assert reading.title == "a"


# PDF and DOCX


def pdf(text="Deploys go out on Tuesdays.", pages=2, password=""):
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    for number in range(pages):
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text} Page {number + 1}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def docx(body):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        )
        archive.writestr("word/document.xml", body)
    return buffer.getvalue()


WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{}</w:body></w:document>'
LAUGHS = (
    '<!DOCTYPE d [<!ENTITY a "lollollol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


def test_a_pdf_gives_pages():
    reading = read_document("a.pdf", pdf())
    assert [block.page for section in reading.sections for block in section.blocks] == [1, 2]
    assert "Deploys go out on Tuesdays. Page 2" in said(reading)[-1][1][-1]


def test_pdfs_that_are_encrypted_cut_off_or_empty_say_so():
    for content, words in [
        (pdf(password="x"), "encrypted"),
        (pdf()[:200], "damaged"),
        (pdf(text="", pages=0), "no text"),
    ]:
        with pytest.raises(Unreadable, match=words):
            read_document("a.pdf", content)


def test_a_docx_gives_paragraphs_and_a_bomb_in_it_is_refused():
    body = WORD.format("<w:p><w:r><w:t>Deploys go out on Tuesdays.</w:t></w:r></w:p>")
    assert said(read_document("a.docx", docx(body))) == [("", ["Deploys go out on Tuesdays."])]
    with pytest.raises(Unreadable, match=r"damaged|memory|work|no text"):
        read_document("a.docx", docx(LAUGHS + WORD.format("<w:p><w:r><w:t>&j;</w:t></w:r></w:p>")))


def test_a_reader_that_fails_in_any_way_answers_with_a_fault(monkeypatch):
    def fail(_file):
        raise ZeroDivisionError

    monkeypatch.setitem(__import__("registry.context.reading.child", fromlist=["x"])._READERS, "pdf", fail)
    assert answer("pdf", b"", 1000) == {"fault": "It is damaged (ZeroDivisionError)."}


# Archives


def packed(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def test_an_archive_gives_its_documents_also_those_in_an_archive_inside():
    inner = packed(**{"b.md": "# b"})
    found = list(
        members(packed(**{"a.md": "# a", "Export.zip": inner, "x.png": "png", "__MACOSX/a.md": "x", "data.json": "{}"}))
    )
    assert found == [("a.md", b"# a", ""), ("Export.zip/b.md", b"# b", "")]
    deeper = list(members(packed(**{"one.zip": packed(**{"two.zip": inner})})))
    assert [fault for _path, _content, fault in deeper] == [
        "It is an archive in an archive in an archive, which is not opened."
    ]


def test_a_bomb_is_counted_while_it_unpacks(monkeypatch):
    found = list(members(packed(**{"bomb.md": b"\0" * 30_000_000, "a.md": "# a"})))
    assert [path for path, _content, fault in found if fault] == ["bomb.md"]
    assert ("a.md", b"# a", "") in found
    monkeypatch.setattr(archives, "MAX_TOTAL", 1_000_000)
    monkeypatch.setattr(
        archives._Allowance,
        "__init__",
        lambda self: (setattr(self, "bytes", 1_000_000), setattr(self, "members", 9))[0],
    )
    with pytest.raises(Unreadable, match="more than"):
        list(members(packed(**{f"{n}.md": "x" * 400_000 for n in range(5)})))


def test_archives_that_are_none_or_have_too_many_members():
    with pytest.raises(Unreadable, match="whole zip"):
        list(members(b"PK\x03\x04 and no more"))
    cut = packed(**{"a.md": "# a" * 999})
    with pytest.raises(Unreadable):
        list(members(cut[: len(cut) // 2]))


@given(st.text(min_size=1, max_size=40))
def test_no_path_leads_out_of_its_source(path):
    for entry in prepared([Entry(path=path, content=b"# x", changed_at=AT)]):
        parts = entry.path.split("/")
        assert entry.fault or (
            not entry.path.startswith("/") and not {"", ".", ".."} & set(parts) and "\\" not in entry.path
        )


@pytest.mark.parametrize("path", ["../a.zip", "a.zip"])
def test_a_traversal_in_an_archive_is_a_fault_at_that_member(path):
    content = packed(**{"../../etc/cron.md": "# x", "/etc/passwd.md": "# x", "ok/a.md": "# a"})
    found = list(prepared([Entry(path=path, content=content, changed_at=AT)]))
    good = [entry.path for entry in found if not entry.fault]
    assert good == ([] if path.startswith("..") else ["a.zip/ok/a.md"])


def test_formats_are_told_by_name_and_data_by_what_it_says():
    assert [format_of(path) for path in ("a.MD", "README", "x/LICENSE", "a.tar", "a", "a.tsx")] == [
        "markdown",
        "plain",
        "plain",
        "",
        "",
        "code",
    ]
    assert is_wanted("a.yaml", b"openapi: 3.1.0\n")
    assert is_wanted("a.json", b'{"info": {}, "openapi": "3"}')
    assert not is_wanted("package.json", b'{"name": "x"}')
