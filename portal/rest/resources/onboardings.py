"""Onboarding by REST: the very steps of the wizard, answered, planned and committed one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rest_framework import serializers

from audit import queries as audit
from kernel.errors import Invalid
from kernel.secrets import Secret
from portal import steps
from portal.rest import filters
from portal.rest.fields import (
    ORIGINS,
    PLAN_MARKS,
    QUESTION_KINDS,
    STEP_STATES,
    Choice,
    Input,
    Output,
    PersonRef,
    Reason,
    TenantRef,
    Text,
    Truth,
)
from portal.rest.listing import Listing
from portal.rest.operations import Resource, operation
from tenants import onboarding
from tenants import queries as tenants
from tenants.models import Onboarding


class OnboardingOut(Output):
    """A team being brought on board."""

    uid = serializers.UUIDField()
    name = serializers.CharField()
    team = TenantRef(source="owner", allow_null=True)
    begun_by = PersonRef()
    lead = PersonRef(allow_null=True)
    started_at = serializers.DateTimeField()
    proposed_at = serializers.DateTimeField(allow_null=True)
    first_call = serializers.UUIDField(allow_null=True)
    first_call_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_reason = serializers.CharField()
    version = serializers.IntegerField()


class ProgressOut(Output):
    """One step of the checklist; its state is looked up when it is asked for."""

    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STEP_STATES, source="state.word")
    said = serializers.CharField()


class OnboardingDetail(OnboardingOut):
    """An onboarding with its checklist."""

    steps = ProgressOut(many=True, source="progress")
    version = serializers.IntegerField()


class NewOnboarding(Input):
    """An onboarding to begin."""

    name = Text(max_length=120)
    kind = Choice(choices=ORIGINS, required=False, default="internal")


class QuestionOut(Output):
    """One question of a step."""

    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=QUESTION_KINDS)
    hint = serializers.CharField()
    needed = serializers.BooleanField()
    fixed = serializers.BooleanField()
    choices = serializers.ListField(child=serializers.CharField())


class StepOut(Output):
    """One step: what it asks, and what was answered so far. Its version is the revision of its answers."""

    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STEP_STATES)
    said = serializers.CharField()
    questions = QuestionOut(many=True)
    answers = serializers.DictField()
    version = serializers.IntegerField()


class Answers(Input):
    """Answers to keep; those that are left out stay."""

    answers = serializers.DictField(child=serializers.JSONField())


class LineOut(Output):
    """One line of a dry run."""

    mark = serializers.ChoiceField(choices=PLAN_MARKS)
    kind = serializers.CharField()
    text = serializers.CharField()
    field = serializers.CharField()


class PlanOut(Output):
    """What committing a step would do now."""

    lines = LineOut(many=True)


class Commitment(Input):
    """What goes with the act alone and is kept nowhere."""

    secrets = serializers.DictField(
        child=Text(max_length=8192, trim_whitespace=False), required=False, write_only=True, default=dict
    )
    passwords = Truth(required=False, default=False, help_text="Give who is new a first password, shown in the answer.")


class ShownOut(Output):
    """Something that is shown this once."""

    of = serializers.CharField()
    text = serializers.CharField()


class OutcomeOut(Output):
    """What was done."""

    text = serializers.CharField()
    shown = ShownOut(many=True)


class NamedPerson(Input):
    """Who goes on: a handle or an address."""

    person = Text(max_length=254)


class CallOut(Output):
    """What came of the first governed call, and where it stands in the log."""

    ok = serializers.BooleanField()
    result = serializers.JSONField()
    call = serializers.UUIDField(allow_null=True)
    records = serializers.ListField(child=serializers.UUIDField())


@dataclass(slots=True)
class Shown:
    """A step with what was answered."""

    key: str
    title: str
    state: str
    said: str
    questions: list[dict[str, Any]]
    answers: Mapping[str, Any]
    version: int


class OnboardingResource(Resource):
    """Onboardings."""

    resource = "onboardings"

    @operation(
        summary="List onboardings",
        gives=OnboardingOut,
        listing=Listing(
            filters=filters.OnboardingFilters, sorts={"newest": "-pk", "name": "name", "begun": "started_at"}
        ),
    )
    def list(self) -> Any:
        """Onboardings of teams that you see, those that you began, and those that name you to lead."""
        return tenants.onboardings(self.principal)

    @operation(
        summary="Begin an onboarding",
        takes=NewOnboarding,
        gives=OnboardingOut,
        status=201,
        place=lambda row: f"onboardings/{row.uid}",
    )
    def create(self, data: dict[str, Any]) -> Onboarding:
        """Stewards and platform admins begin one. It makes nothing but itself."""
        return onboarding.begin(actor=self.principal, **data)

    @operation(summary="Read an onboarding", gives=OnboardingDetail)
    def retrieve(self, uid: str) -> Onboarding:
        """One onboarding with its checklist."""
        return self._with_progress(self._row(uid))

    @operation(summary="Hand an onboarding over", takes=NamedPerson, gives=OnboardingDetail, conditional=True)
    def hand(self, data: dict[str, Any], uid: str) -> Onboarding:
        """Names the lead, who sees it and goes on from then on; only before the team stands."""
        row = self._row(uid)
        expected, lead = self.expected(row), tenants.person_to_name(self.principal, data["person"])
        return self._with_progress(
            onboarding.hand_over(actor=self.principal, onboarding=row, lead=lead, expected_version=expected)
        )

    @operation(summary="Propose a team", gives=OnboardingDetail)
    def propose(self, uid: str) -> Onboarding:
        """Puts it to the platform admins, who alone create a team."""
        return self._with_progress(onboarding.propose(actor=self.principal, onboarding=self._row(uid)))

    @operation(summary="Close an onboarding", takes=Reason, gives=OnboardingDetail, conditional=True)
    def close(self, data: dict[str, Any], uid: str) -> Onboarding:
        """What it made stays."""
        row = self._row(uid)
        expected = self.expected(row)
        return self._with_progress(
            onboarding.close(actor=self.principal, onboarding=row, expected_version=expected, **data)
        )

    @operation(summary="Make the first governed call", gives=CallOut)
    def call(self, uid: str) -> dict[str, Any]:
        """The last step's call, through the gateway under its delegation. Commit that step first."""
        called = steps.make_call(self.principal, self._row(uid))
        filters_of = audit.Filters(call=called.call)
        found = audit.calls_visible(self.principal.access.visible, filters_of) if called.call else []
        return {"ok": called.ok, "result": called.shown, "call": called.call, "records": [row.uid for row in found]}

    def _row(self, uid: str) -> Onboarding:
        return tenants.onboarding_by_uid(self.principal, uid)

    def _with_progress(self, row: Onboarding) -> Onboarding:
        row.progress = onboarding.progress(self.principal, row)  # type: ignore[attr-defined]
        return row


class StepResource(Resource):
    """The steps of an onboarding."""

    resource = "onboarding_steps"

    @operation(summary="Read a step", gives=StepOut)
    def retrieve(self, uid: str, key: str) -> Shown:
        """What it asks and what was answered so far. Before the team stands, only the first step asks anything."""
        return self._shown(*self._named(uid, key))

    @operation(summary="Answer in a step", takes=Answers, gives=StepOut, conditional=True)
    def partial_update(self, data: dict[str, Any], uid: str, key: str) -> Shown:
        """Keeps answers and makes nothing."""
        row, step = self._named(uid, key)
        expected = self.expected(self._shown(row, step))
        saved = onboarding.save_answers(
            actor=self.principal, onboarding=row, key=key, values=data["answers"], expected_revision=expected
        )
        return self._shown(saved, step)

    @operation(summary="Plan a step", gives=PlanOut)
    def plan(self, uid: str, key: str) -> dict[str, Any]:
        """The dry run: exactly what committing would do now."""
        row, _ = self._named(uid, key)
        return {"lines": onboarding.plan(self.principal, row, key)}

    @operation(summary="Commit a step", takes=Commitment, gives=OutcomeOut, conditional=True, secret=True)
    def commit(self, data: dict[str, Any], uid: str, key: str) -> dict[str, Any]:
        """Does what the dry run says; doing it again does what is not there yet. A fault stops the whole step."""
        row, step = self._named(uid, key)
        expected = self.expected(self._shown(row, step))
        secrets = {name: Secret(text.encode()) for name, text in data["secrets"].items() if text}
        asked = {field.name for field in step.fields(self.principal, row) if field.kind == "secret"}
        if secrets.keys() - asked:
            raise Invalid("The step asks for no such secret.", errors={"secrets": sorted(secrets.keys() - asked)})
        outcome = onboarding.commit_step(
            actor=self.principal,
            onboarding=row,
            key=key,
            means=steps.means(secrets, passwords=data["passwords"]),
            expected_revision=expected,
        )
        return {"text": outcome.text, "shown": [{"of": name, "text": text} for name, text in outcome.shown]}

    def _named(self, uid: str, key: str) -> tuple[Onboarding, onboarding.Step]:
        return tenants.onboarding_by_uid(self.principal, uid), onboarding.require_step(key)

    def _shown(self, row: Onboarding, step: onboarding.Step) -> Shown:
        held, state = onboarding.held(row, step.key), onboarding.state_of(self.principal, row, step.key)
        reached = step.key == onboarding.FIRST or row.owner is not None
        asked = step.fields(self.principal, row) if reached else ()
        return Shown(
            key=step.key,
            title=step.title,
            state=state.word,
            said=state.text or step.needs,
            questions=[_question(field) for field in asked],
            answers=held.values,
            version=held.revision,
        )


def _question(field: onboarding.Field) -> dict[str, Any]:
    said = {"title": field.label, "hint": field.help, "needed": field.required, "fixed": field.fixed}
    return {"name": field.name, "kind": field.kind, **said, "choices": [value for value, _ in field.choices]}
