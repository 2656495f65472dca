"""What tiers, roles, effects and sensitivities mean. Pure: no database, no framework."""

from collections.abc import Iterable
from enum import Enum, IntEnum, StrEnum
from typing import Final


class Tier(StrEnum):
    """Where an asset lives. The platform runs once; a team is in several domains."""

    PLATFORM = "platform"
    DOMAIN = "domain"
    TEAM = "team"


class Concern(StrEnum):
    """What a domain is about."""

    REGULATORY = "regulatory"
    TECHNICAL = "technical"
    BUSINESS = "business"
    GEOGRAPHIC = "geographic"


class Origin(StrEnum):
    """Where a team comes from."""

    INTERNAL = "internal"
    PRODUCT_LINE = "product"
    REGIONAL = "regional"
    ACQUIRED = "acquired"


class Role(StrEnum):
    """What a person is in one tenant."""

    PLATFORM_ADMIN = "platform_admin"
    DOMAIN_STEWARD = "domain_steward"
    TEAM_LEAD = "team_lead"
    MEMBER = "member"
    REVIEWER = "reviewer"


class Effect(IntEnum):
    """What a tool does to the world. Ordered: a ceiling admits everything below it."""

    READ = 0
    WRITE = 1
    DESTROY = 2


class Sensitivity(IntEnum):
    """How sensitive the data is that a tool touches. Ordered like `Effect`."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3


class Profile(StrEnum):
    """What kind of work an agent is built for."""

    READER = "reader"
    BUILDER = "builder"
    OPERATOR = "operator"


NEVER: Final = -1
"""A ceiling below every effect: nothing is admitted."""

ROLES_OF_TIER: Final[dict[Tier, frozenset[Role]]] = {
    Tier.PLATFORM: frozenset({Role.PLATFORM_ADMIN, Role.REVIEWER}),
    Tier.DOMAIN: frozenset({Role.DOMAIN_STEWARD, Role.REVIEWER}),
    Tier.TEAM: frozenset({Role.TEAM_LEAD, Role.MEMBER, Role.REVIEWER}),
}

# A reviewer looks; a member works; only a lead may let something be destroyed in the team's name.
_ROLE_EFFECT: Final[dict[str, int]] = {
    Role.REVIEWER: Effect.READ,
    Role.MEMBER: Effect.WRITE,
    Role.TEAM_LEAD: Effect.DESTROY,
}

_PROFILE_EFFECT: Final[dict[str, int]] = {
    Profile.READER: Effect.READ,
    Profile.BUILDER: Effect.WRITE,
    Profile.OPERATOR: Effect.DESTROY,
}

_PROFILE_SENSITIVITY: Final[dict[str, int]] = {
    Profile.READER: Sensitivity.CONFIDENTIAL,
    Profile.BUILDER: Sensitivity.CONFIDENTIAL,
    Profile.OPERATOR: Sensitivity.RESTRICTED,
}

MAX_RISK: Final = 3
"""An agent of this risk class or above calls nothing until its owner lowers it."""

MAX_DEPTH: Final = 4
"""How many delegations may hang below one another."""

MAX_DELEGATION_DAYS: Final = 90

MAX_GROUP: Final = 255
"""How long the name of a provider's group may be."""

MAX_CLAIMED: Final = 5000
"""How many groups a provider may name at one sign-in; a longer list is not read at all."""


def choices_of(kind: type[Enum]) -> list[tuple[str | int, str]]:
    """Returns the values of a kind with the words that people read, as columns and forms offer them."""
    return [(item.value, item.name.replace("_", " ").capitalize()) for item in kind]


def role_effect(roles: Iterable[str]) -> int:
    """Returns the widest effect that the roles a person holds in one team admit, or `NEVER`."""
    return max((_ROLE_EFFECT.get(role, NEVER) for role in roles), default=NEVER)


def profile_effect(profile: str) -> int:
    """Returns the widest effect an agent of this profile may have; an unknown profile admits nothing."""
    return _PROFILE_EFFECT.get(profile, NEVER)


def profile_sensitivity(profile: str) -> int:
    """Returns the highest sensitivity an agent of this profile may touch; an unknown profile admits nothing."""
    return _PROFILE_SENSITIVITY.get(profile, NEVER)


def is_group_name(text: str) -> bool:
    """Tells whether a text can name a group of the identity provider: printable, not too long, no blank at its ends."""
    return 0 < len(text) <= MAX_GROUP and text.isprintable() and text == text.strip()


def claimed_groups(claim: object) -> frozenset[str]:
    """Returns the groups that a provider's claim names. Anything but a list of texts that has an end names none."""
    if not isinstance(claim, list) or len(claim) > MAX_CLAIMED or not all(isinstance(item, str) for item in claim):
        return frozenset()
    return frozenset(item for item in claim if is_group_name(item))


def role_fits(role: str, tier: str) -> bool:
    """Tells whether a role exists in a tenant of this tier."""
    return tier in ROLES_OF_TIER and role in ROLES_OF_TIER[Tier(tier)]
