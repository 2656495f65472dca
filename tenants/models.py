"""Tiers, people, agents, roles and delegations, with the constraints the database holds."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from kernel import clock, ids
from tenants.access import Viewer
from tenants.ownership import OwnedQuerySet
from tenants.rules import MAX_DEPTH, MAX_GROUP, Concern, Effect, Origin, Profile, Role, Sensitivity, Tier, choices_of


class TenantQuerySet(models.QuerySet["Tenant"]):
    """Tenants as one principal may see them."""

    def visible_to(self, principal: Viewer) -> TenantQuerySet:
        """Returns the tenants in the principal's reach; a platform admin sees all."""
        visible = principal.access.visible
        return self if visible is None else self.filter(pk__in=visible)


class Tenant(models.Model):
    """One node of a tier: the one Platform, a Domain, a Team. Every asset is owned by exactly one."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    tier = models.CharField(max_length=8, choices=choices_of(Tier))
    slug = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=120)
    concern = models.CharField(max_length=12, blank=True, choices=choices_of(Concern))
    region = models.CharField(max_length=48, blank=True)
    origin = models.CharField(
        max_length=8,
        default="internal",
        choices=choices_of(Origin),
    )
    summary = models.CharField(max_length=400, blank=True)
    invented = models.BooleanField(default=False, help_text="Part of the demo estate, not of a real organisation.")
    created_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)
    domains = models.ManyToManyField(
        "self", through="DomainMembership", through_fields=("team", "domain"), symmetrical=False, related_name="teams"
    )

    objects: ClassVar[models.Manager[Tenant]] = TenantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(F("tier"), condition=Q(tier=Tier.PLATFORM), name="tenant_one_platform"),
            models.CheckConstraint(
                condition=Q(tier=Tier.DOMAIN) & ~Q(concern="") | ~Q(tier=Tier.DOMAIN) & Q(concern=""),
                name="tenant_concern_iff_domain",
            ),
            models.CheckConstraint(condition=Q(slug__regex=rf"^{ids.SLUG_PATTERN}$"), name="tenant_slug_shape"),
        ]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name


class DomainMembership(models.Model):
    """A team is in a domain. A team is in several."""

    team = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="domain_links")
    domain = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="team_links")
    since = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "domain"], name="domain_membership_once"),
            models.CheckConstraint(condition=~Q(team=F("domain")), name="domain_membership_two_tenants"),
        ]


class PersonManager(BaseUserManager["Person"]):
    """People; sign-in looks one up by address."""

    def visible_to(self, principal: Viewer) -> models.QuerySet[Person]:
        """Returns the principal and all who hold a role in a tenant the principal sees."""
        visible = principal.access.visible
        if visible is None:
            return self.all()
        return self.filter(Q(memberships__tenant__in=visible) | Q(pk=principal.person_id)).distinct()

    def get_by_natural_key(self, username: str | None) -> Person:
        """Returns the person of this address, whatever its letter case."""
        return self.get(email__iexact=username)


class Person(AbstractBaseUser, PermissionsMixin):
    """A human being who can sign in, hold roles and delegate."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    email = models.EmailField(unique=True)
    handle = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=120)
    clearance = models.SmallIntegerField(choices=choices_of(Sensitivity), default=Sensitivity.INTERNAL)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects = PersonManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name", "handle"]

    class Meta:
        ordering = ["handle"]
        constraints = [
            models.CheckConstraint(condition=Q(handle__regex=rf"^{ids.SLUG_PATTERN}$"), name="person_handle_shape"),
            models.UniqueConstraint(Lower("email"), name="person_email_once"),
        ]

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(OwnedQuerySet["Membership"]):
    """Roles held in tenants."""

    owner_field = "tenant"


class Membership(models.Model):
    """A person holds a role in one tenant: somebody gave it, or groups of the identity provider did, or both."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=choices_of(Role))
    since = models.DateTimeField(default=clock.now, editable=False)
    by_hand = models.BooleanField(default=True, db_default=True)
    groups = ArrayField(
        models.CharField(max_length=MAX_GROUP),
        default=list,
        db_default=[],
        blank=True,
        help_text="The groups that gave it at the last sign-in and whose rules still stand, sorted.",
    )

    objects: ClassVar[models.Manager[Membership]] = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "tenant", "role"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=list(Role)), name="membership_role_known"),
            models.CheckConstraint(condition=Q(by_hand=True) | ~Q(groups=[]), name="membership_has_a_ground"),
        ]
        indexes = [models.Index(fields=["tenant", "person"], name="membership_by_tenant")]


class SignInGroupQuerySet(OwnedQuerySet["SignInGroup"]):
    """Rules for groups, owned by the tenant whose role they give."""

    owner_field = "tenant"


class SignInGroup(models.Model):
    """A rule: who signs in with this group of the identity provider has this role in the tenant."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="sign_in_groups")
    name = models.CharField(max_length=MAX_GROUP, help_text="As the provider calls the group, letter by letter.")
    role = models.CharField(max_length=16, choices=choices_of(Role))
    made_by = models.ForeignKey(
        Person,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Gets nothing by this rule: nobody gives themselves a role.",
    )
    since = models.DateTimeField(default=clock.now, editable=False)

    objects: ClassVar[models.Manager[SignInGroup]] = SignInGroupQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name", "role"], name="sign_in_group_once"),
            models.CheckConstraint(condition=Q(role__in=list(Role)), name="sign_in_group_role_known"),
            models.CheckConstraint(condition=~Q(name=""), name="sign_in_group_named"),
        ]
        indexes = [models.Index(fields=["name"], name="sign_in_group_by_name")]
        ordering = ["name", "role"]

    def __str__(self) -> str:
        return self.name


class AgentQuerySet(OwnedQuerySet["Agent"]):
    """Agents, owned by their home team."""

    owner_field = "home"


class Agent(models.Model):
    """A non-human principal with its own identity, a home team and a person who answers for it."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    slug = models.SlugField(max_length=48, unique=True)
    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=400, blank=True)
    home = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="agents")
    sponsor = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="sponsored_agents")
    profile = models.CharField(max_length=8, choices=choices_of(Profile), default=Profile.READER)
    risk = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(
        max_length=9, choices=[("active", "Active"), ("suspended", "Suspended")], default="active"
    )
    status_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Agent]] = AgentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(slug__regex=rf"^{ids.SLUG_PATTERN}$"), name="agent_slug_shape"),
            models.CheckConstraint(condition=Q(profile__in=list(Profile)), name="agent_profile_known"),
            models.CheckConstraint(condition=Q(risk__lte=3), name="agent_risk_class"),
        ]
        indexes = [models.Index(fields=["home", "id"], name="agent_by_home")]
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    @property
    def owner(self) -> Tenant:
        """The home team, under the name that every asset uses."""
        return self.home


class DelegationQuerySet(OwnedQuerySet["Delegation"]):
    """Delegations, owned by the team they are for."""

    owner_field = "team"

    def live(self, at: datetime) -> DelegationQuerySet:
        """Returns those that hold at this moment: begun, not expired, not revoked."""
        return self.filter(revoked_at=None, not_before__lte=at, not_after__gt=at)


class Delegation(models.Model):
    """A person lets an agent act for them: one team, some tools, ceilings, an end."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="delegations")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="delegations")
    team = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="delegations")
    purpose = models.CharField(max_length=400, blank=True)
    tool_groups = ArrayField(models.SlugField(max_length=48), default=list)
    effect_ceiling = models.SmallIntegerField(choices=choices_of(Effect), default=Effect.READ)
    sensitivity_ceiling = models.SmallIntegerField(choices=choices_of(Sensitivity), default=Sensitivity.INTERNAL)
    blueprint_digest = models.CharField(max_length=64, blank=True)
    run = models.CharField(max_length=64, blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    depth = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(default=clock.now)
    not_after = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    revoked_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Delegation]] = DelegationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(not_after__gt=F("not_before")), name="delegation_ends_after_start"),
            models.CheckConstraint(condition=Q(depth__lte=MAX_DEPTH), name="delegation_depth"),
            models.CheckConstraint(
                condition=Q(parent=None, depth=0) | Q(parent__isnull=False, depth__gt=0), name="delegation_root_depth"
            ),
        ]
        indexes = [
            models.Index(fields=["team", "id"], name="delegation_by_team"),
            models.Index(fields=["person", "agent", "team"], name="delegation_by_triple"),
        ]
        ordering = ["-id"]

    @property
    def owner(self) -> Tenant:
        """The team, under the name that every asset uses."""
        return self.team

    def state_at(self, at: datetime) -> str:
        """Returns `revoked`, `waiting`, `expired` or `live`."""
        if self.revoked_at is not None:
            return "revoked"
        if at < self.not_before:
            return "waiting"
        return "live" if at < self.not_after else "expired"


class OnboardingQuerySet(models.QuerySet["Onboarding"]):
    """Onboardings: who sees the team sees them; before there is a team, who began it and who is named to lead it."""

    def visible_to(self, principal: Viewer) -> OnboardingQuerySet:
        """Returns the onboardings that the principal sees; a platform admin sees all."""
        visible, person = principal.access.visible, principal.person_id
        if visible is None:
            return self
        if person is None:
            return self.none()
        named = Q(owner=None) & (Q(begun_by=person) | Q(lead=person))
        return self.filter(Q(owner__in=visible) | named)


class Onboarding(models.Model):
    """A team being brought on board: what was answered so far. What is done is never kept here, it is looked up."""

    uid = models.UUIDField(unique=True, default=ids.new_uid, editable=False)
    owner = models.OneToOneField(Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="onboarding")
    name = models.CharField(max_length=120)
    begun_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    lead = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    answers = models.JSONField(default=dict, blank=True, help_text="By step: values, revision, who and when.")
    started_at = models.DateTimeField(default=clock.now, editable=False)
    proposed_at = models.DateTimeField(null=True, blank=True, help_text="When the new team was put to the admins.")
    first_call = models.UUIDField(null=True, blank=True, help_text="The call's id in the log.")
    first_call_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_reason = models.CharField(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Onboarding]] = OnboardingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(first_call=None, first_call_at=None)
                | Q(first_call__isnull=False, first_call_at__isnull=False, owner__isnull=False),
                name="onboarding_first_call_of_a_team",
            ),
        ]
        indexes = [
            models.Index(fields=["begun_by", "-id"], name="onboarding_by_beginner"),
            models.Index(fields=["lead", "-id"], name="onboarding_by_lead"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name
