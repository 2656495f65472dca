"""Fields that take exactly the JSON type they say, and the shapes that many resources share."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from rest_framework import serializers

from audit.records import Kind
from tenants.rules import Concern, Effect, Origin, Profile, Role, Sensitivity, Tier, choices_of

EFFECTS: Final = [(item.name.lower(), item.name.capitalize()) for item in Effect]
SENSITIVITIES: Final = [(item.name.lower(), item.name.capitalize()) for item in Sensitivity]
CONCERNS: Final = [(item.value, item.name.capitalize()) for item in Concern]
PROFILES: Final = [(item.value, item.name.capitalize()) for item in Profile]
TIERS: Final = [(item.value, item.name.capitalize()) for item in Tier]
ROLES: Final = [(item.value, item.value.replace("_", " ").capitalize()) for item in Role]
NEW_TIERS: Final = [("domain", "Domain"), ("team", "Team")]
ORIGINS: Final = choices_of(Origin)
AGENT_STATUSES: Final = [("active", "Active"), ("suspended", "Suspended")]
CREDENTIAL_KINDS: Final = [("header", "Header"), ("bearer", "Bearer token"), ("basic", "Basic")]
EVENT_KINDS: Final = [(item.value, item.name.capitalize()) for item in Kind]
STEP_STATES: Final = [(word, word.capitalize()) for word in ("done", "open", "waiting", "later")]
QUESTION_KINDS: Final = [(word, word.capitalize()) for word in ("text", "long", "choice", "choices", "secret", "table")]
PLAN_MARKS: Final = [(word, word.capitalize()) for word in ("make", "there", "fault")]
VERDICTS: Final = [(word, word.capitalize()) for word in ("ok", "warning", "error")]
SCOPES: Final = [("read", "Read"), ("write", "Read and write")]


class Input(serializers.Serializer[Any]):
    """What a request may hold. A field that is not listed is refused, so nobody believes it was taken."""

    def to_internal_value(self, data: Any) -> Any:
        """Returns the validated values."""
        if isinstance(data, Mapping) and (unknown := set(data) - set(self.fields)):
            raise serializers.ValidationError({name: ["There is no such field."] for name in sorted(unknown)})
        return super().to_internal_value(data)


class Output(serializers.Serializer[Any]):
    """What an answer holds."""


class Text(serializers.CharField):
    """A string; a number is not one."""

    def to_internal_value(self, data: Any) -> str:
        """Returns the text."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """An integer; the text of one is not one."""

    def to_internal_value(self, data: Any) -> int:
        """Returns the number."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Truth(serializers.BooleanField):
    """true or false; "yes" and 1 are neither."""

    def to_internal_value(self, data: Any) -> bool:
        """Returns the truth value."""
        if not isinstance(data, bool):
            self.fail("invalid", input=type(data).__name__)
        return data


class Choice(serializers.ChoiceField):
    """One of some texts."""

    def to_internal_value(self, data: Any) -> Any:
        """Returns the chosen text."""
        if not isinstance(data, str):
            self.fail("invalid_choice", input=type(data).__name__)
        return super().to_internal_value(data)


class Level(Choice):
    """An ordered level (effect, sensitivity) by its name."""

    def __init__(self, kind: type[IntEnum], **kwargs: Any) -> None:
        self.kind = kind
        super().__init__(choices=[(item.name.lower(), item.name.capitalize()) for item in kind], **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """Returns the member."""
        return self.kind[str(super().to_internal_value(data)).upper()]

    def to_representation(self, value: Any) -> str:
        """Returns the name."""
        return self.kind(value).name.lower()


class TenantRef(Output):
    """Enough of a tenant to find it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    tier = serializers.ChoiceField(choices=TIERS)


class PersonRef(Output):
    """Enough of a person to find them."""

    handle = serializers.CharField()
    name = serializers.CharField()


class AgentRef(Output):
    """Enough of an agent to find it."""

    slug = serializers.CharField()
    name = serializers.CharField()


class Reason(Input):
    """Why something is done."""

    reason = Text(max_length=200)


class OptionalReason(Input):
    """Why something is done, if one wants to say."""

    reason = Text(max_length=200, required=False, allow_blank=True, default="")
