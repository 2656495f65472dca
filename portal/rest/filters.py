"""The filters of every list, shared by REST and by whoever draws the same list: they narrow visible rows, no more."""

from datetime import datetime
from typing import Any, Final

from django import forms
from django.db.models import Q, QuerySet
from django_filters import CharFilter, ChoiceFilter, FilterSet

from blueprints.classification.signals import LEVELS
from blueprints.models import PATTERNS, VARIANTS, Blueprint, ChangeRequest, Fork, PatternRequest, Repository, Version
from blueprints.queries import repositories
from blueprints.queries.library import ref_condition
from kernel import clock
from kernel.errors import Invalid
from portal.rest.fields import EFFECTS
from registry.models import Server, Tool
from tenants.rules import Concern, Effect, Profile, Role, Tier

TIERS = [(item.value, item.name.capitalize()) for item in Tier]
CONCERNS = [(item.value, item.name.capitalize()) for item in Concern]
ROLES = [(item.value, item.value) for item in Role]
PROFILES = [(item.value, item.value) for item in Profile]
AGENT_STATES = [("active", "Active"), ("suspended", "Suspended")]
DELEGATION_STATES = [("live", "Live"), ("waiting", "Waiting"), ("expired", "Expired"), ("revoked", "Revoked")]
HEALTH = [("ok", "Answers"), ("failing", "Failing its probe"), ("unprobed", "Never probed")]
KINDS = [
    ("intent", "Call"),
    ("denied", "Denied call"),
    ("change", "Change"),
    ("outcome", "Outcome"),
    ("unknown", "Unknown"),
]
YES_OR_NO = [("true", "Yes"), ("false", "No")]
FORK_SORTS: Final = {
    "name": "name",
    "team": "owner__slug",
    "blueprint": "blueprint__name",
    "changed": "changed_at",
    "created": "created_at",
}
FORK_NUMBERS: Final = {"drift": "-drift", "behind": "-behind", "conflicts": "-conflicts"}


def words(*fields: str) -> Any:
    """Returns a filter that looks for a text in any of these fields."""

    def search(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        found = Q()
        for field in fields:
            found |= Q(**{f"{field}__icontains": value})
        return rows.filter(found)

    return CharFilter(method=search, max_length=200)


class TenantFilters(FilterSet):  # type: ignore[misc]
    """Of tenants."""

    q = words("slug", "name", "summary")
    tier = ChoiceFilter(choices=TIERS)
    concern = ChoiceFilter(choices=CONCERNS)
    region = CharFilter(max_length=48)
    domain = CharFilter(field_name="domain_links__domain__slug", max_length=48)


class OnboardingFilters(FilterSet):  # type: ignore[misc]
    """Of onboardings."""

    q = words("name", "owner__slug")
    team = CharFilter(field_name="owner__slug", max_length=48)


class PersonFilters(FilterSet):  # type: ignore[misc]
    """Of people."""

    q = words("handle", "name", "email")


class MembershipFilters(FilterSet):  # type: ignore[misc]
    """Of roles held in a tenant."""

    role = ChoiceFilter(choices=ROLES)
    person = CharFilter(field_name="person__handle", max_length=48)


class SignInGroupFilters(FilterSet):  # type: ignore[misc]
    """Of rules for groups from sign-in."""

    role = ChoiceFilter(choices=ROLES)
    group = CharFilter(field_name="name", max_length=255)


class AgentFilters(FilterSet):  # type: ignore[misc]
    """Of agents."""

    q = words("slug", "name", "purpose")
    home = CharFilter(field_name="home__slug", max_length=48)
    sponsor = CharFilter(field_name="sponsor__handle", max_length=48)
    status = ChoiceFilter(choices=AGENT_STATES)
    profile = ChoiceFilter(choices=PROFILES)


class DelegationFilters(FilterSet):  # type: ignore[misc]
    """Of delegations; `state` is as of this moment."""

    team = CharFilter(field_name="team__slug", max_length=48)
    person = CharFilter(field_name="person__handle", max_length=48)
    agent = CharFilter(field_name="agent__slug", max_length=48)
    state = ChoiceFilter(choices=DELEGATION_STATES, method="in_state")

    def in_state(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the delegations in a state."""
        return rows.filter(delegation_state(value, clock.now()))


class ServerFilters(FilterSet):  # type: ignore[misc]
    """Of servers."""

    q = words("slug", "name", "summary")
    owner = CharFilter(field_name="owner__slug", max_length=48)
    tier = ChoiceFilter(field_name="owner__tier", choices=TIERS)
    status = ChoiceFilter(choices=Server.Status.choices)
    transport = ChoiceFilter(choices=Server.Transport.choices)
    health = ChoiceFilter(choices=HEALTH, method="in_health")

    def in_health(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the servers by how their last probe went."""
        return rows.filter(probe_ok={"ok": True, "failing": False, "unprobed": None}[value])


class ToolFilters(FilterSet):  # type: ignore[misc]
    """Of tools."""

    q = words("name", "exposed_name", "title", "description")
    server = CharFilter(field_name="server__slug", max_length=48)
    owner = CharFilter(field_name="owner__slug", max_length=48)
    state = ChoiceFilter(choices=Tool.State.choices)
    effect = ChoiceFilter(choices=EFFECTS, method="in_effect")

    def in_effect(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the tools of an effect."""
        return rows.filter(effect=Effect[value.upper()])


class GroupFilters(FilterSet):  # type: ignore[misc]
    """Of tool groups."""

    q = words("slug", "name")
    owner = CharFilter(field_name="owner__slug", max_length=48)
    server = CharFilter(field_name="server__slug", max_length=48)


class RepositoryFilters(FilterSet):  # type: ignore[misc]
    """Of repositories; `pattern` and `state` are as of this moment."""

    q = words("slug", "name", "url")
    team = CharFilter(field_name="owner__slug", max_length=48)
    pattern = ChoiceFilter(choices=Repository.Pattern.choices, method="of_pattern")
    level = ChoiceFilter(choices=[(str(number), name) for number, name in enumerate(LEVELS)])
    state = ChoiceFilter(choices=repositories.STATE_CHOICES, method="of_state")

    def of_pattern(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the repositories that may be used so now."""
        return rows.filter(repositories.in_pattern(value, clock.now()))

    def of_state(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the repositories of which this is known now."""
        return rows.filter(repositories.in_state(value, clock.now()))


class PatternRequestFilters(FilterSet):  # type: ignore[misc]
    """Of requests to raise a pattern."""

    team = CharFilter(field_name="owner__slug", max_length=48)
    status = ChoiceFilter(choices=PatternRequest.Status.choices)


class BlueprintFilters(FilterSet):  # type: ignore[misc]
    """Of blueprints."""

    q = words("name", "title", "summary")
    owner = CharFilter(field_name="owner__slug", max_length=48)
    tier = ChoiceFilter(field_name="owner__tier", choices=TIERS)
    variant = ChoiceFilter(choices=VARIANTS)
    pattern = ChoiceFilter(choices=PATTERNS)
    status = ChoiceFilter(choices=Blueprint.Status.choices)
    tag = CharFilter(max_length=48, method="with_tag")

    def with_tag(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the blueprints with a tag."""
        return rows.filter(tags__contains=[value])


class VersionFilters(FilterSet):  # type: ignore[misc]
    """Of versions of one blueprint."""

    status = ChoiceFilter(choices=Version.Status.choices)


class OfBlueprint(FilterSet):  # type: ignore[misc]
    """Of what belongs to a blueprint."""

    blueprint = CharFilter(max_length=110, method="of_blueprint", help_text="`namespace/name`.")

    def of_blueprint(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns what belongs to the blueprint of a reference."""
        condition = ref_condition(value, "blueprint__")
        if condition is None:
            raise Invalid("A filter cannot be used.", errors={f"?{name}": ["Write it as namespace/name."]})
        return rows.filter(condition)


class ForkFilters(OfBlueprint):
    """Of forks."""

    q = words("name", "title")
    team = CharFilter(field_name="owner__slug", max_length=48)
    mode = ChoiceFilter(choices=Fork.Mode.choices)
    status = ChoiceFilter(choices=Fork.Status.choices)
    behind = ChoiceFilter(choices=YES_OR_NO, method="above_zero")
    conflicts = ChoiceFilter(choices=YES_OR_NO, method="above_zero")

    def above_zero(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Returns the forks of which a number is above zero, or is zero."""
        return rows.filter(**{f"{name}__gt": 0}) if value == "true" else rows.filter(**{name: 0})


class ChangeRequestFilters(OfBlueprint):
    """Of change requests."""

    q = words("title", "team_name")
    owner = CharFilter(field_name="owner__slug", max_length=48)
    team = CharFilter(field_name="team_slug", max_length=48)
    status = ChoiceFilter(choices=ChangeRequest.Status.choices)


class AuditFilters(forms.Form):
    """Of audit records; the log is asked with them, it is not a table of ours."""

    since = forms.DateTimeField(required=False)
    until = forms.DateTimeField(required=False)
    person = forms.UUIDField(required=False)
    agent = forms.UUIDField(required=False)
    call = forms.UUIDField(required=False)
    stream = forms.UUIDField(required=False)
    text = forms.CharField(required=False, max_length=200)
    verb = forms.CharField(required=False, max_length=80)
    decision = forms.ChoiceField(required=False, choices=[("allow", "Allowed"), ("deny", "Denied")])
    result = forms.CharField(required=False, max_length=40)
    kind = forms.ChoiceField(required=False, choices=KINDS)


def delegation_state(state: str, at: datetime) -> Q:
    """Returns the condition under which a delegation is in this state, as `Delegation.state_at` has it."""
    unrevoked = Q(revoked_at=None)
    return {
        "revoked": Q(revoked_at__isnull=False),
        "waiting": unrevoked & Q(not_before__gt=at),
        "live": unrevoked & Q(not_before__lte=at, not_after__gt=at),
        "expired": unrevoked & Q(not_before__lte=at, not_after__lte=at),
    }[state]
