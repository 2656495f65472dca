"""What the invented group has written down: sources of each tier, with the documents that are read into its context."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tenants.rules import Sensitivity


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """A source of the estate: who owns it, who brings its documents, and the documents by path."""

    owner: str
    by: str
    slug: str
    name: str
    location: str
    documents: Mapping[str, str]
    sensitivity: Sensitivity = Sensitivity.INTERNAL


@dataclass(frozen=True, slots=True)
class LearnedPlan:
    """A statement that an agent proposes to its team, and what it asked in vain before."""

    person: str
    agent: str
    statement: str
    evidence: str
    tags: tuple[str, ...]
    asked: str


RELEASES: Final = """# Releases

Every service of the group is released in the same three steps. The pipeline enforces the second and the third.

## Before a release

A change is reviewed by somebody who did not write it. The version number says what it is: a patch corrects, a minor
version adds, a major version breaks. Breaking changes of an interface are announced to its callers two weeks ahead.

## Time in staging

A version runs in staging for a day before it goes to production. The pipeline refuses to deploy a version to production
that was never in staging. The day may be used: look at error rate and memory before you go home.

## Deploying to production

Deploy between 9 and 15 o'clock in the time zone of the team on call, never on a Friday, and never while an incident of
another service is open. Write one sentence into the note of the deployment; whoever is called at night reads it.
"""
INCIDENTS: Final = """# Incidents

## Severity

| severity | what it means | who is called |
| --- | --- | --- |
| 1 | customers cannot pay, or data is wrong | the team on call and the domain's steward, at any hour |
| 2 | something is slow or partly broken | the team on call, at any hour |
| 3 | nobody outside notices | the team, in the morning |

## What to do first

Roll back first, ask later. A rollback of the pipeline puts the version before back in place within a minute and marks what
it replaced. Only when there is nothing to go back to is a fix rolled forward.

## Afterwards

Within three working days the team writes down what happened, what it saw first, and which check would have caught it. No
names. A check that is missing goes into the team's harness; when it would help others, it is proposed to the domain.
"""
LOGGING: Final = """# What goes into logs

## Always

Every line carries the time in UTC, the service, its version, and the id of the request. The id comes in the header
`traceparent` and is passed on to every call.

## Never

No card numbers, not even shortened to less than the last four digits. No tokens, no cookies, no bodies of requests. A person
is named by the customer number, never by name or address. Logs are kept for 90 days; records of audits for ten years.
"""
CARD_DATA: Final = """# Card data

What the card schemes demand of everybody who touches a payment, said for developers.

## Where card numbers may be

A card number is in the card vault and nowhere else: not in a database of another service, not in a queue, not in a log,
not in a test. Other services hold the vault's token, which is worth nothing outside of it.

## Testing with cards

Tests use the schemes' published test numbers. A copy of production data is never used for tests, however it was masked.

## Who may change code near cards

Changes of card-vault and of the payment form need a second review by somebody with the training of this year. The training
takes an hour; the steward of the domain keeps the list.
"""
STRONG_AUTHENTICATION: Final = """# Strong customer authentication

## When the customer is asked

A payment by card is confirmed by the customer with two factors, unless an exemption holds. The bank decides in the end: an
exemption that we ask for may be refused, and then the payment is tried again with confirmation.

## Exemptions that we use

- Below 30 euros, at most five times in a row or 100 euros in sum since the last confirmation.
- A subscription, when its first payment was confirmed and the amount does not change.
- A merchant that the customer has listed with the bank.

## What must be kept

For each payment: whether it was confirmed, which exemption was asked for, and the answer of the bank. Thirteen months, which is
how long a customer may dispute a payment.
"""
SUPERVISION: Final = """# Reporting to the supervisor

## Incidents of payments

A payment service that is down for two hours, or that loses or doubles payments, is reported to the supervisor within four
hours after it was classified. The steward reports; the team delivers times, numbers of payments and the sum concerned.

## Outsourcing

A provider that processes payments is entered in the register before it is used. The entry names the exit: who else could do it,
and how long a change would take.
"""
SERVICES: Final = """# Running a service

## What a service needs before its first release

Two people on call, a runbook, a rollback that was tried, an owner for its data, and limits on memory and connections. The
classification of its repository says what is missing.

## Time-outs and retries

A call waits two seconds at most unless the callee says otherwise. Retry at most twice, with a pause that grows and a little
chance in it, and only what may be done twice. A call that books money carries an idempotency key.

## Capacity

Plan for three times the load of an ordinary Monday. The Friday in November when everybody buys is five times that; freeze
releases from Wednesday to Monday around it.
"""
DATABASES: Final = """# Databases

## Migrations

A migration runs while the old version still serves. So a column is added in one release, written in the next, read in the
third, and removed no earlier than a week after nobody reads it. No migration holds a lock for longer than two seconds.

## Restoring

Backups are taken every night and kept for 35 days. A backup that was never restored is none: each team restores one into
staging every quarter and writes down how long it took.
"""
CHECKOUT_RUNBOOK: Final = """# Runbook of checkout-api

## What it does

Takes a basket, reserves the goods, asks the card vault for a payment, and writes the receipt. It owns baskets and receipts;
it owns no card data and no stock.

## Payments hang

Seen as baskets in the state `paying` for more than three minutes. First look at the bank's status page, then at the vault:
its queue is named `authorise`. When the queue grows, switch to the second acquirer with the flag `acquirer.second`; it takes
a minute. Never retry a payment by hand: the job `settle` asks the bank what became of it.

## Receipts are missing

The receipt is written after the payment, by the job `receipts`. It may be run again; it writes what is missing and nothing
twice.

## Rolling back

Any version may be rolled back within its minor version. Across a minor version look at the table `schema_steps` first.
"""
CHECKOUT_RELEASES: Final = """# How we release checkout-api

## Time in staging

A version of checkout-api runs in staging for two days, not one, before it goes to production: the nightly settlement must
have run twice. Price rules are the exception: a version that changes nothing but price rules runs in staging for two hours.

## Deploying to production

Deploy before 13 o'clock, never on the first or last working day of a month, when the accounts are closed.
"""
TEST_SHOP: Final = """# The test shop

## What it is for

A copy of the shop against the bank's sandbox. It is emptied every Sunday night.

## Signing in

The user is tester. The password is Kai-7421-hafen, and the second factor is switched off there.
"""
BASKET_RULES: Final = """# Rules of the basket

## Rounding

Prices are whole cents. A discount is computed for each line and rounded half a cent in favour of the customer; the sum of the
lines is the price, and never the other way round.

## Shipping

Shipping is free from 50 euros on, counted after discounts and before vouchers. A voucher pays for shipping, too.

## How long a basket is kept

Thirty days after its last change. A reservation of goods ends after fifteen minutes, whether the basket is open or not.
"""
CLOSING: Final = """# Closing a month

## Order of work

1. Checkout stops releases on the last working day.
2. The job `settle` has no open payments left; what is older than three days is booked to clearing account 1590.
3. Ledger-core is set to the new period at noon.
4. The steward of the domain signs the reconciliation.

## When the sums differ

A difference below one euro in sum is booked to 4985 and explained. Anything above stops the closing: compare the receipts of
checkout with the bank's file by the payment reference, not by the amount.
"""
POSTINGS: Final = """# Rules of posting

## Four eyes

Whoever prepares an entry does not approve it. An agent prepares and never approves. Entries above 10,000 euros need the lead.

## Corrections

An entry is never changed. A wrong entry is reversed with its number in the text, and posted anew.
"""

SOURCES: Final = (
    SourcePlan(
        "platform", "mara", "standards", "Engineering standards", "the handbook's wiki",
        {"releases.md": RELEASES, "incidents.md": INCIDENTS, "logging.md": LOGGING},
    ),
    SourcePlan(
        "payments", "selma", "rules", "What schemes and supervisors ask", "compliance share, folder Payments",
        {"card-data.md": CARD_DATA, "strong-authentication.md": STRONG_AUTHENTICATION, "supervision.md": SUPERVISION},
    ),
    SourcePlan(
        "cloud", "ravi", "operations", "Running services", "the cloud guild's notes",
        {"services.md": SERVICES, "databases.md": DATABASES},
    ),
    SourcePlan(
        "checkout", "jonas", "runbooks", "Runbooks", "checkout-api, folder docs",
        {
            "runbook.md": CHECKOUT_RUNBOOK, "releases.md": CHECKOUT_RELEASES, "basket.md": BASKET_RULES,
            "test-shop.md": TEST_SHOP,
        },
    ),
    SourcePlan(
        "accounts", "nadia", "closing", "Closing and posting", "accounts share",
        {"closing.md": CLOSING, "postings.md": POSTINGS}, Sensitivity.CONFIDENTIAL,
    ),
)  # fmt: skip

LEARNED: Final = LearnedPlan(
    person="aisha",
    agent="basket-scout",
    statement="Staging of checkout-api settles at 03:10 UTC, so a version deployed after that has run no settlement"
    " before the next night.",
    evidence="The pipeline's list of deployments and the job's start in three nights.",
    tags=("staging", "settlement"),
    asked="How long are receipts of shops in Finland kept?",
)
