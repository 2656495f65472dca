"""The filters of context, and what is asked beside them: they narrow what is visible and readable, no more."""

from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django_filters import CharFilter, ChoiceFilter, FilterSet

from portal.rest.fields import SENSITIVITIES, TIERS
from portal.rest.filters import YES_OR_NO, words
from registry.context.memories import Memory
from registry.context.models import Import, ImportItem, Source
from registry.context.queries import MAX_HITS, MAX_QUESTION, MODES
from tenants.rules import Sensitivity

SEARCH_MODES: Final = [(mode, mode.capitalize()) for mode in MODES]
_YES: Final = YES_OR_NO[:1]


class OfSensitivity(FilterSet):  # type: ignore[misc]
    """Of what has an owner and a sensitivity."""

    owner = CharFilter(field_name="owner__slug", max_length=48)
    tier = ChoiceFilter(field_name="owner__tier", choices=TIERS)
    sensitivity = ChoiceFilter(choices=SENSITIVITIES, method="of_sensitivity")

    def of_sensitivity(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns what is just so sensitive."""
        return rows.filter(sensitivity=Sensitivity[value.upper()])


class SourceFilters(OfSensitivity):
    """Of sources."""

    q = words("slug", "name", "location")
    kind = ChoiceFilter(choices=Source.Kind.choices)


class DocumentFilters(OfSensitivity):
    """Of documents."""

    q = words("path", "title")
    source = CharFilter(field_name="source__slug", max_length=48)
    format = CharFilter(max_length=10)
    language = CharFilter(max_length=12)
    mark = CharFilter(max_length=48, method="with_mark")
    withheld = ChoiceFilter(choices=YES_OR_NO, method="with_withheld", help_text="Whether something of it is withheld.")

    def with_mark(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the documents with a mark."""
        return rows.filter(marks__contains=[value])

    def with_withheld(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the documents of which something is withheld, or nothing."""
        return rows.filter(withheld_count__gt=0) if value == "true" else rows.filter(withheld_count=0)


class ImportFilters(FilterSet):  # type: ignore[misc]
    """Of imports."""

    owner = CharFilter(field_name="owner__slug", max_length=48)
    source = CharFilter(field_name="source__slug", max_length=48)
    state = ChoiceFilter(choices=Import.State.choices)


class ImportItemFilters(FilterSet):  # type: ignore[misc]
    """Of the documents of one import."""

    q = words("path")
    state = ChoiceFilter(choices=ImportItem.State.choices)


class MemoryFilters(FilterSet):  # type: ignore[misc]
    """Of what agents learned. Whose inbox waits for the caller is asked of the query: see the resource."""

    q = words("text", "evidence")
    owner = CharFilter(field_name="owner__slug", max_length=48)
    agent = CharFilter(field_name="agent__slug", max_length=48)
    state = ChoiceFilter(choices=Memory.State.choices)
    waiting_for_me = ChoiceFilter(
        choices=_YES, method="as_they_are", help_text="What you may decide on, and nobody has."
    )

    def as_they_are(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the rows: the resource has asked for those that wait."""
        return rows


class GapFilters(FilterSet):  # type: ignore[misc]
    """Of what agents asked in vain."""

    q = words("text")
    owner = CharFilter(field_name="owner__slug", max_length=48)


class SearchQuestion(forms.Form):
    """A question to the context."""

    q = forms.CharField(max_length=MAX_QUESTION, help_text='Words; "a phrase" is demanded, -word excluded.')
    team = forms.CharField(required=False, max_length=48, help_text="Only what this team reaches.")
    tier = forms.ChoiceField(required=False, choices=TIERS)
    source = forms.CharField(required=False, max_length=48, help_text="The slug of a source, whoever owns it.")
    since = forms.DateTimeField(required=False, help_text="Changed then or later.")
    mode = forms.ChoiceField(required=False, choices=SEARCH_MODES)
    limit = forms.IntegerField(required=False, min_value=1, max_value=MAX_HITS)


class Because(forms.Form):
    """Why something is removed. It goes into the log."""

    reason = forms.CharField(max_length=200)
