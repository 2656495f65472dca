"""The shapes that blueprints, versions, forks and change requests share."""

from typing import Any, Final

from rest_framework import serializers

from blueprints.format.reading import MAX_BYTES
from blueprints.models import PATTERNS, VARIANTS, Blueprint, ChangeRequest, Fork, Version
from portal.rest.fields import Output, PersonRef, TenantRef, Text

FORK_OR_HEAD: Final = [("fork", "What the fork says"), ("head", "What the head says")]
PARTS: Final = [("major", "Major"), ("minor", "Minor"), ("patch", "Patch")]
STATES: Final = [
    ("fork-only", "The fork changed it"),
    ("upstream-only", "Upstream changed it"),
    ("same", "Both changed it alike"),
    ("conflict", "Both changed it, and differently"),
]
TARGETS: Final = [("head", "The head of its blueprint"), ("successor", "The head of what follows its blueprint")]


def document_text(**more: Any) -> Text:
    """Returns the field for a whole blueprint in YAML."""
    return Text(max_length=MAX_BYTES, trim_whitespace=False, **more)


def operation_list(**more: Any) -> serializers.ListField:
    """Returns the field for the operations of a fork; `blueprints` says what each must be."""
    return serializers.ListField(child=serializers.DictField(), max_length=500, **more)


class BlueprintRef(Output):
    """Enough of a blueprint to find it."""

    ref = serializers.CharField(help_text="`namespace/name`.")
    title = serializers.CharField()


class BlueprintOut(Output):
    """A blueprint: one name for all its versions."""

    uid = serializers.UUIDField()
    ref = serializers.CharField(help_text="`namespace/name`.")
    namespace = serializers.CharField()
    name = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    owner = TenantRef()
    variant = serializers.ChoiceField(choices=VARIANTS)
    pattern = serializers.ChoiceField(choices=PATTERNS)
    tags = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(choices=Blueprint.Status.choices)
    status_reason = serializers.CharField()
    head = serializers.CharField(source="head.semver", allow_null=True, help_text="Null while nothing is published.")
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    version = serializers.IntegerField()


class VersionOut(Output):
    """A version, without its contents. `version` counts decisions on it; its number is `semver`."""

    uid = serializers.UUIDField()
    ref = serializers.CharField(help_text="`namespace/name@semver`: what forks and locks name.")
    semver = serializers.CharField()
    digest = serializers.CharField(help_text="Of the canonical JSON of the document.")
    note = serializers.CharField()
    status = serializers.ChoiceField(choices=Version.Status.choices)
    proposed_by = PersonRef(allow_null=True)
    proposed_at = serializers.DateTimeField()
    decided_by = PersonRef(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decision_reason = serializers.CharField()
    version = serializers.IntegerField()


class VersionDetail(VersionOut):
    """A version with its contents, which never change."""

    document = serializers.DictField()
    text = serializers.CharField(help_text="The YAML as its author wrote it.")
    lock = serializers.DictField(help_text="What a run is pinned to.")
    version = serializers.IntegerField()


class ForkOut(Output):
    """A fork, without its contents. Its numbers are against the version `measured`."""

    uid = serializers.UUIDField()
    ref = serializers.CharField(help_text="`team.NAME/name`.")
    team = TenantRef(source="owner")
    name = serializers.CharField()
    title = serializers.CharField()
    blueprint = BlueprintRef()
    base = serializers.CharField(source="base.semver")
    measured = serializers.CharField(source="measured.semver")
    mode = serializers.ChoiceField(choices=Fork.Mode.choices)
    status = serializers.ChoiceField(choices=Fork.Status.choices)
    status_reason = serializers.CharField()
    behind = serializers.IntegerField(help_text="What upstream has changed and the fork has not taken.")
    drift = serializers.IntegerField(help_text="What the fork has changed and upstream has not.")
    conflicts = serializers.IntegerField(help_text="What both have changed, and differently.")
    digest = serializers.CharField(help_text="Of the canonical JSON of the fork's own document.")
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    version = serializers.IntegerField()


class ChangeRequestOut(Output):
    """A team asks the owner of a blueprint to take some of its fork's operations."""

    uid = serializers.UUIDField()
    title = serializers.CharField()
    note = serializers.CharField()
    owner = TenantRef(help_text="Who decides.")
    blueprint = BlueprintRef()
    team_slug = serializers.CharField(help_text="Who asks, by its name at the time.")
    team_name = serializers.CharField()
    against = serializers.CharField(source="against.semver", help_text="The head when it was opened.")
    status = serializers.ChoiceField(choices=ChangeRequest.Status.choices)
    opened_by = PersonRef(allow_null=True)
    opened_at = serializers.DateTimeField()
    decided_by = PersonRef(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decision_reason = serializers.CharField()
    result = serializers.CharField(source="result.semver", allow_null=True, help_text="The version that took it.")
    version = serializers.IntegerField()


class LintFindingOut(Output):
    """Something that is wrong with a blueprint, where, and what to do about it."""

    code = serializers.CharField()
    severity = serializers.ChoiceField(choices=[("error", "Error"), ("warning", "Warning")])
    path = serializers.CharField(help_text="A JSON pointer into the document.")
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)
    message = serializers.CharField()
    remedy = serializers.CharField()


class ContentChangeOut(Output):
    """One thing that is different; a side on which there is nothing is left out. An order is the list of its keys."""

    path = serializers.CharField(help_text="A JSON pointer over names, such as `/nodes/plan/prompt`.")
    unit = serializers.CharField(help_text="The pointer of what a person would say has changed, such as the node.")
    state = serializers.ChoiceField(choices=STATES)
    base = serializers.JSONField(required=False)
    head = serializers.JSONField(required=False)
    fork = serializers.JSONField(required=False)


class DifferenceOut(Output):
    """The difference of three contents: the base of a fork, the head, and the fork."""

    base = serializers.CharField(help_text="The reference of the version that the fork stands on.")
    head = serializers.CharField(help_text="The reference of what it is compared with.")
    behind = serializers.IntegerField()
    drift = serializers.IntegerField()
    conflicts = serializers.IntegerField()
    changes = ContentChangeOut(many=True)
