"""Bringing documents into a source: several files or the export of a wiki, or a text that is pasted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import redirect
from django.utils.text import slugify
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from kernel import clock
from kernel.errors import Invalid, TooLarge
from portal.pages import lists
from portal.pages.screens import error_page, principal_of, screen, submit
from portal.pages.sources import LISTING, show_source
from portal.uploading import MAX_TOTAL, BoundedUpload, RefusedFile
from registry.context import clearance, queries
from registry.context.entries import Entry, limit_of, pasted, too_large
from registry.context.models import Import, Source
from registry.context.services.imports import begin_import
from registry.context.tasks import wake
from tenants import authority

MAX_PASTED: Final = 200_000


class FilesInput(forms.ClearableFileInput):
    """A field for several files at once."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files, each cleaned as one. Names that occur twice are refused: a path names one document."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        """Returns the files."""
        files = data if isinstance(data, list | tuple) else [data]
        kept = [super(FilesField, self).clean(one, initial) for one in files] or [super().clean(None, initial)]
        names = [one.name for one in kept]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise forms.ValidationError(f"Two of them are called {', '.join(twice)}. Bring them apart.")
        return kept


class FilesForm(forms.Form):
    """Files of any kind that is read, or a zip of them."""

    documents = FilesField(allow_empty_file=True)


class PasteForm(forms.Form):
    """A text with a title. The same title again replaces the document."""

    title = forms.CharField(max_length=120, help_text="The same title again replaces the document.")
    text = forms.CharField(
        max_length=MAX_PASTED,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="Markdown: headings become the places that a hit names.",
    )

    def clean_title(self) -> str:
        """Returns the title, which needs something that a path can be made of."""
        title: str = self.cleaned_data["title"].strip()
        if not slugify(title):
            raise forms.ValidationError("It needs a letter or a digit.")
        return title


def uploading(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Returns the view of a form with files. What is too large is counted while it arrives, and never kept.

    The bounds must stand before anything looks at the request, so the check of the form's token comes right behind them.
    """
    checked = csrf_protect(screen("POST")(view))

    @csrf_exempt
    @wraps(view)
    def bounded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        request.upload_handlers = [BoundedUpload(request), *request.upload_handlers]
        try:
            return checked(request, *args, **kwargs)
        except TooManyFilesSent:
            return error_page(
                request,
                TooLarge(
                    f"At most {settings.DATA_UPLOAD_MAX_NUMBER_FILES:,} files at once; a zip archive may hold more."
                ),
            )
        except MultiPartParserError:
            return error_page(request, Invalid("The upload did not arrive whole. Try it again."))

    return bounded


@uploading
def bring(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Begins to read uploaded files."""
    form = FilesForm(request.POST, request.FILES)
    return _begin(request, slug, name, form, "files_form", lambda data: entries_of(data["documents"]))


@screen("POST")
def paste(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Begins to read a text that was pasted."""
    form = PasteForm(request.POST)
    return _begin(request, slug, name, form, "paste_form", lambda data: [pasted(**data, at=clock.now())])


def _begin(request: HttpRequest, slug: str, name: str, form: forms.Form, shown_as: str, entries: Any) -> HttpResponse:
    principal = principal_of(request)
    source = queries.source_by_ref(principal, slug, name)
    authority.require_contributor(principal, source.owner, "import documents")

    def act(data: dict[str, Any]) -> Import:
        return begin_import(actor=principal, source=source, entries=entries(data))

    row = submit(form, act)
    if row is None:
        return _show_again(request, source, form, shown_as)
    wake(row)
    messages.success(request, "The documents are on their way." if row.unchanged == 0 else _unchanged(row.unchanged))
    return redirect("source", slug, name)


def _show_again(request: HttpRequest, source: Source, form: forms.Form, shown_as: str) -> HttpResponse:
    rows = clearance.readable_documents(principal_of(request), source)
    return show_source(request, source, lists.list_page(request, rows, LISTING), **{shown_as: form})


def _unchanged(count: int) -> str:
    return f"On their way; {count} {'is' if count == 1 else 'are'} as before and not read again."


def entries_of(files: Iterable[UploadedFile[Any]]) -> Iterator[Entry]:
    """Yields the files one by one, so that only one of them is in memory."""
    now = clock.now()
    for file in files:
        fault = _fault(file)
        yield Entry(path=file.name or "", content=b"" if fault else file.read(), changed_at=now, fault=fault)


def _fault(file: UploadedFile[Any]) -> str:
    size = file.size or 0
    if isinstance(file, RefusedFile) and file.found_no_room and size <= limit_of(file.name or ""):
        return f"There was no room for it: one upload may have {MAX_TOTAL:,} bytes in all. Bring it by itself."
    return too_large(file.name or "", size)
