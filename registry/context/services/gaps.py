"""What agents asked and did not find: kept for the team's people, so that they see what is written down nowhere.

Only the question is kept, how often and when it was asked last; never who asked. It is bounded, expires and can be erased.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F

from audit.services import record
from kernel import clock
from registry import verbs
from registry.asking import Asking
from registry.context.memories import MAX_ASKED, Gap
from registry.context.queries import Hit
from registry.context.screening import is_secret, screen
from tenants import authority
from tenants.models import Tenant
from tenants.principals import Principal
from tenants.scope import ALL, tenant_scope

MOST_KEPT: Final = 500
"""How many questions are kept of one team; what was asked least recently goes first."""
KEPT_FOR: Final = timedelta(days=90)
_LOOKED_AT: Final = 5
_GOOD: Final = 0.5
_STEM: Final = 5
_WORD: Final = re.compile(r"\w{4,}")


def is_found(question: str, hits: Sequence[Hit]) -> bool:
    """Tells whether one of the first five hits is good: words and meaning agree on it, or it has half of the long words."""
    wanted = {word[:_STEM] for word in _WORD.findall(question.casefold())}
    return any(_is_good(hit, wanted) for hit in hits[:_LOOKED_AT])


def _is_good(hit: Hit, wanted: set[str]) -> bool:
    places = (hit.text_place, hit.vector_place)
    if all(place is not None and place <= _LOOKED_AT for place in places):
        return True
    said = " ".join([hit.text, hit.title, hit.path, *hit.heading]).casefold()
    there = {word[:_STEM] for word in _WORD.findall(said)}
    return len(wanted & there) >= _GOOD * len(wanted)


@transaction.atomic
def note_gap(*, asking: Asking, question: str) -> None:
    """Counts a question that found nothing. One with something like a secret in it is not kept."""
    text = " ".join(question.casefold().split())[:MAX_ASKED]
    if not text.isprintable() or is_secret(screen(question)):
        return
    rows = Gap.objects.filter(owner=asking.team, text=text)
    if rows.update(asked=F("asked") + 1, last_at=clock.now()):
        return
    try:
        with transaction.atomic():
            Gap.objects.create(owner=asking.team, text=text)
    except IntegrityError:  # two calls at once
        rows.update(asked=F("asked") + 1, last_at=clock.now())
    kept = Gap.objects.filter(owner=asking.team).order_by("-last_at", "-id")
    Gap.objects.filter(pk__in=list(kept.values_list("pk", flat=True)[MOST_KEPT : MOST_KEPT + 100])).delete()


@transaction.atomic
def forget_gap(*, actor: Principal, gap: Gap) -> None:
    """Erases one question: it was answered, or should not be kept."""
    authority.require_contributor(actor, gap.owner, "erase what agents asked")
    owner_id, uid = gap.owner_id, str(gap.uid)
    gap.delete()
    record(scope=owner_id, verb=verbs.GAPS_FORGOTTEN, person=actor.uid, object=f"gap:{uid}", facts={"questions": 1})


@transaction.atomic
def forget_gaps(*, actor: Principal, owner: Tenant) -> int:
    """Erases every question of a team. Returns how many there were."""
    authority.require_keeper(actor, owner, "erase everything that agents asked")
    count = Gap.objects.filter(owner=owner).delete()[0]
    record(scope=owner.pk, verb=verbs.GAPS_FORGOTTEN, person=actor.uid, object="gap:all", facts={"questions": count})
    return count


def expire_gaps() -> int:
    """Erases what nobody has asked for ninety days, of every team. Returns how many there were."""
    with tenant_scope(ALL):
        return Gap.objects.filter(last_at__lt=clock.now() - KEPT_FOR).delete()[0]
