"""Why a call was refused, in words: what stood against it, and who can change that."""

from typing import Final

_LEAD: Final = "a lead of the team"
_PERSON: Final = "the person who delegated"
_KEEPER: Final = "who keeps the server's owner"

REASONS: Final[dict[str, tuple[str, str]]] = {
    "tool.unknown": ("No such tool here", "Look at the agent's surface for the right name."),
    "tool.out_of_reach": ("Not the team's tool", "A steward can take the team into the domain that owns it."),
    "token.tool_not_named": ("Not in the token", f"{_PERSON.capitalize()} can mint a token that names the tool."),
    "identity.incomplete": ("An identity is missing", "A call needs a person, an agent and a delegation."),
    "person.inactive": ("Person switched off", "A platform admin can switch the person on."),
    "person.not_a_member": ("Person not in the team", f"{_LEAD.capitalize()} can give a role."),
    "person.role_too_low": ("Role too low", f"{_LEAD.capitalize()} can give a role that admits this effect."),
    "person.clearance_too_low": ("Clearance too low", "A platform admin sets a person's clearance."),
    "agent.suspended": ("Agent suspended", f"{_LEAD.capitalize()} can resume it."),
    "agent.without_sponsor": ("Agent has no sponsor", f"{_LEAD.capitalize()} can name a sponsor from the team."),
    "agent.not_at_home": ("Agent of another team", "An agent acts in its home team alone."),
    "agent.risk_too_high": ("Risk class too high", f"{_LEAD.capitalize()} can classify the agent again."),
    "agent.profile_effect": ("Profile too narrow", f"{_LEAD.capitalize()} can give the agent a wider profile."),
    "agent.profile_sensitivity": ("Data too sensitive", f"{_LEAD.capitalize()} can give the agent a wider profile."),
    "arguments.invalid": ("Arguments do not fit", "The agent was told which argument is wrong."),
    "arguments.schema_unusable": ("Schema unusable", f"{_KEEPER.capitalize()} can approve a definition that holds."),
    "delegation.of_others": ("Delegation of others", f"{_PERSON.capitalize()} can delegate to this agent."),
    "delegation.too_deep": ("Cut too often", f"{_PERSON.capitalize()} can delegate anew."),
}

# The same can stand against the delegation itself or against one that it was cut from.
_FACETS: Final[dict[str, str]] = {
    "revoked": "revoked",
    "expired": "not in its time",
    "other_team": "for another team",
    "tool_not_granted": "without this tool",
    "effect_ceiling": "with a lower effect",
    "sensitivity_ceiling": "for less sensitive data",
    "of_others": "of others",
}


def words_of(reason: str) -> str:
    """Returns a few words for a cell; a reason that this version does not know, as it stands in the log."""
    if reason in REASONS:
        return REASONS[reason][0]
    leg, _, facet = reason.partition(".")
    if leg in {"delegation", "parent"} and facet in _FACETS:
        return f"{leg.capitalize()} {_FACETS[facet]}"
    return reason.replace("_", " ").replace(".", ": ")


def remedy_of(reason: str) -> str:
    """Returns who can change it; empty where nobody needs to."""
    if reason in REASONS:
        return REASONS[reason][1]
    leg, _, facet = reason.partition(".")
    known = leg in {"delegation", "parent"} and facet in _FACETS
    return f"{_PERSON.capitalize()} can delegate anew; a delegation itself never grows." if known else ""
