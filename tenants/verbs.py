"""What can be done to tenants, people, agents and delegations, as the audit log names it."""

from typing import Final

from audit import verbs

TENANT_CREATED: Final = "tenants.tenant.created"
TENANT_CHANGED: Final = "tenants.tenant.changed"
DOMAIN_JOINED: Final = "tenants.domain.joined"
DOMAIN_LEFT: Final = "tenants.domain.left"
PERSON_ADDED: Final = "tenants.person.added"
PERSON_CHANGED: Final = "tenants.person.changed"
ROLE_GIVEN: Final = "tenants.role.given"
ROLE_TAKEN: Final = "tenants.role.taken"
GROUP_ADDED: Final = "tenants.sign_in_group.added"
GROUP_REMOVED: Final = "tenants.sign_in_group.removed"
GROUP_GAVE: Final = "tenants.sign_in_group.gave"
GROUP_TOOK: Final = "tenants.sign_in_group.took"
AGENT_REGISTERED: Final = "tenants.agent.registered"
AGENT_CHANGED: Final = "tenants.agent.changed"
AGENT_SUSPENDED: Final = "tenants.agent.suspended"
AGENT_RESUMED: Final = "tenants.agent.resumed"
DELEGATED: Final = "tenants.delegation.created"
NARROWED: Final = "tenants.delegation.narrowed"
REVOKED: Final = "tenants.delegation.revoked"
TOKEN_MINTED: Final = "tenants.token.minted"  # noqa: S105 - the name of an act, not a secret
ONBOARDING_BEGUN: Final = "tenants.onboarding.begun"
ONBOARDING_HANDED: Final = "tenants.onboarding.handed"
ONBOARDING_PROPOSED: Final = "tenants.onboarding.proposed"
ONBOARDING_STEP: Final = "tenants.onboarding.committed"
ONBOARDING_FINISHED: Final = "tenants.onboarding.finished"
ONBOARDING_CLOSED: Final = "tenants.onboarding.closed"

LABELS: Final = {
    TENANT_CREATED: "Created a tenant",
    TENANT_CHANGED: "Changed a tenant",
    DOMAIN_JOINED: "Joined a team to a domain",
    DOMAIN_LEFT: "Took a team out of a domain",
    PERSON_ADDED: "Added a person",
    PERSON_CHANGED: "Changed a person",
    ROLE_GIVEN: "Gave a role",
    ROLE_TAKEN: "Took a role away",
    GROUP_ADDED: "Gave a role to a group of the sign-in",
    GROUP_REMOVED: "Took a role from a group of the sign-in",
    GROUP_GAVE: "Gave a role by group",
    GROUP_TOOK: "Took a role away by group",
    AGENT_REGISTERED: "Registered an agent",
    AGENT_CHANGED: "Changed an agent",
    AGENT_SUSPENDED: "Suspended an agent",
    AGENT_RESUMED: "Resumed an agent",
    DELEGATED: "Delegated to an agent",
    NARROWED: "Narrowed a delegation",
    REVOKED: "Revoked a delegation",
    TOKEN_MINTED: "Minted an agent token",
    ONBOARDING_BEGUN: "Began an onboarding",
    ONBOARDING_HANDED: "Handed an onboarding over",
    ONBOARDING_PROPOSED: "Proposed a team",
    ONBOARDING_STEP: "Committed a step of an onboarding",
    ONBOARDING_FINISHED: "Made a team's first governed call",
    ONBOARDING_CLOSED: "Closed an onboarding",
}


def register() -> None:
    """Makes the audit log accept these acts."""
    verbs.register("tenants", LABELS)
