"""What the invented group looks like. Any likeness with a real organisation is chance."""

from dataclasses import dataclass
from typing import Final

from tenants.rules import Concern, Effect, Profile, Role, Sensitivity

MAIL_DOMAIN: Final = "nordhafen.example"


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """A domain of the estate."""

    slug: str
    name: str
    concern: Concern
    summary: str


@dataclass(frozen=True, slots=True)
class TeamPlan:
    """A team of the estate and the domains it is in."""

    slug: str
    name: str
    domains: tuple[str, ...]
    summary: str
    origin: str = "internal"
    region: str = ""


@dataclass(frozen=True, slots=True)
class PersonPlan:
    """A person of the estate with their roles: (tenant, role)."""

    handle: str
    name: str
    roles: tuple[tuple[str, Role], ...]
    clearance: Sensitivity = Sensitivity.INTERNAL


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """An agent of the estate."""

    slug: str
    name: str
    home: str
    sponsor: str
    profile: Profile
    purpose: str
    risk: int = 1


@dataclass(frozen=True, slots=True)
class DelegationPlan:
    """Who lets which agent do what."""

    person: str
    agent: str
    groups: tuple[str, ...]
    effect: Effect
    sensitivity: Sensitivity
    days: int
    purpose: str


DOMAINS: Final = (
    DomainPlan("payments", "Payments regulation", Concern.REGULATORY, "What card schemes and supervisors ask of us."),
    DomainPlan("cloud", "Cloud engineering", Concern.TECHNICAL, "How services are built, shipped and run."),
    DomainPlan("commerce", "Commerce", Concern.BUSINESS, "Everything that sells."),
    DomainPlan("nordics", "Nordics", Concern.GEOGRAPHIC, "Offices and law of the northern countries."),
)

TEAMS: Final = (
    TeamPlan("checkout", "Checkout", ("payments", "cloud", "commerce"), "Takes the money, from basket to receipt."),
    TeamPlan("card-vault", "Card vault", ("payments", "cloud"), "Keeps card data where nobody else has to."),
    TeamPlan("storefront", "Storefront", ("cloud", "commerce"), "What customers see."),
    TeamPlan("accounts", "Accounts", ("payments", "nordics", "commerce"), "Books what was bought, owed and paid."),
    TeamPlan("fleet", "Fleet tracking", ("cloud",), "Came with the purchase of Havn Logistik.", origin="acquired"),
    TeamPlan(
        "turku", "Turku office", ("nordics", "commerce"), "Sales and service in Finland.", "regional", region="Finland"
    ),
)

PEOPLE: Final = (
    PersonPlan("mara", "Mara Lindqvist", (("platform", Role.PLATFORM_ADMIN),), Sensitivity.RESTRICTED),
    PersonPlan("otto", "Otto Brandt", (("platform", Role.PLATFORM_ADMIN),), Sensitivity.CONFIDENTIAL),
    PersonPlan("selma", "Selma Aydin", (("payments", Role.DOMAIN_STEWARD),), Sensitivity.RESTRICTED),
    PersonPlan("ravi", "Ravi Menon", (("cloud", Role.DOMAIN_STEWARD),), Sensitivity.CONFIDENTIAL),
    PersonPlan("greta", "Greta Holm", (("commerce", Role.DOMAIN_STEWARD), ("nordics", Role.DOMAIN_STEWARD))),
    PersonPlan("jonas", "Jonas Weber", (("checkout", Role.TEAM_LEAD),), Sensitivity.CONFIDENTIAL),
    PersonPlan("aisha", "Aisha Bello", (("checkout", Role.MEMBER),), Sensitivity.CONFIDENTIAL),
    PersonPlan("piet", "Piet Jansen", (("checkout", Role.REVIEWER), ("payments", Role.REVIEWER))),
    PersonPlan("lena", "Lena Fischer", (("card-vault", Role.TEAM_LEAD),), Sensitivity.RESTRICTED),
    PersonPlan("tom", "Tom Okafor", (("storefront", Role.TEAM_LEAD), ("checkout", Role.MEMBER))),
    PersonPlan("nadia", "Nadia Rossi", (("accounts", Role.TEAM_LEAD),), Sensitivity.CONFIDENTIAL),
    PersonPlan("emil", "Emil Nygaard", (("accounts", Role.MEMBER),), Sensitivity.CONFIDENTIAL),
    PersonPlan("ingrid", "Ingrid Dahl", (("fleet", Role.TEAM_LEAD),)),
    PersonPlan("aino", "Aino Virtanen", (("turku", Role.TEAM_LEAD),)),
    PersonPlan("karl", "Karl Meyer", (("storefront", Role.MEMBER),)),
)

AGENTS: Final = (
    AgentPlan("release-pilot", "Release pilot", "checkout", "jonas", Profile.BUILDER, "Ships what has been reviewed."),
    AgentPlan("basket-scout", "Basket scout", "checkout", "aisha", Profile.READER, "Answers questions about releases."),
    AgentPlan(
        "vault-keeper", "Vault keeper", "card-vault", "lena", Profile.OPERATOR, "Looks after the vault's releases.", 2
    ),
    AgentPlan("shop-fitter", "Shop fitter", "storefront", "tom", Profile.BUILDER, "Builds and ships the shop."),
    AgentPlan("book-keeper", "Book keeper", "accounts", "nadia", Profile.OPERATOR, "Posts and reconciles entries."),
    AgentPlan("harbour-hand", "Harbour hand", "fleet", "ingrid", Profile.READER, "Finds its way in a new group."),
    AgentPlan("sauna-clerk", "Sauna clerk", "turku", "aino", Profile.READER, "Looks things up for the office."),
)

DELEGATIONS: Final = (
    DelegationPlan(
        "jonas", "release-pilot", ("pipeline", "clock", "handbook"), Effect.WRITE, Sensitivity.CONFIDENTIAL, 30,
        "Ship reviewed changes of checkout-api.",
    ),
    DelegationPlan(
        "aisha", "basket-scout", ("pipeline", "clock"), Effect.READ, Sensitivity.INTERNAL, 14, "What runs where?"
    ),
    DelegationPlan(
        "lena", "vault-keeper", ("pipeline", "clock"), Effect.DESTROY, Sensitivity.CONFIDENTIAL, 5, "Roll back at night."
    ),
    DelegationPlan(
        "tom", "shop-fitter", ("pipeline", "handbook"), Effect.WRITE, Sensitivity.INTERNAL, 30, "Ship the shop."
    ),
    DelegationPlan(
        "nadia", "book-keeper", ("ledger", "clock"), Effect.WRITE, Sensitivity.CONFIDENTIAL, 30, "Post what was approved."
    ),
    DelegationPlan("aino", "sauna-clerk", ("clock", "handbook"), Effect.READ, Sensitivity.INTERNAL, 60, "Look things up."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A server of the estate: who owns it, who approves for the owner, how sensitive its tools are.

    `left_open` names tools that nobody has decided on yet, so that something waits for the keeper.
    """

    slug: str
    name: str
    owner: str
    keeper: str
    summary: str
    sensitivity: Sensitivity
    command: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()


SERVERS: Final = (
    ServerPlan(
        "pipeline", "Deployment pipeline", "cloud", "ravi",
        "Deploys services to staging and production.", Sensitivity.INTERNAL,
    ),
    ServerPlan(
        "ledger", "Accounts ledger", "accounts", "nadia",
        "Double-entry books of the group.", Sensitivity.CONFIDENTIAL,
    ),
    ServerPlan(
        "clock", "Time", "platform", "mara",
        "The time of day anywhere; the public server mcp-server-time.", Sensitivity.PUBLIC,
        command=("mcp-server-time", "--local-timezone", "UTC"),
    ),
    ServerPlan(
        "handbook", "Engineering handbook", "platform", "mara",
        "The handbook's git repository, through the public server mcp-server-git.", Sensitivity.INTERNAL,
        command=("mcp-server-git", "--repository", "{handbook}"),
        left_open=("git_checkout", "git_commit"),
    ),
)  # fmt: skip

HANDBOOK: Final = {
    "README.md": "# Engineering handbook\n\nHow we work at Nordhafen. Invented, for trying out Hanse.\n",
    "releases.md": "# Releases\n\n1. A change is reviewed.\n2. It runs in staging for a day.\n3. It goes to production.\n",
    "on-call.md": "# On call\n\nRoll back first, ask later. Write down what you saw.\n",
}
