"""The records of one tool's calls by one caller, ready but for what differs from call to call."""

from dataclasses import dataclass, field
from typing import Final

from audit.forms import Form
from audit.records import Actor, Log

VERB: Final = "tools.call"
ALLOWED_BY: Final = ("person", "agent", "delegation")
_REASONS_KEPT: Final = 64


@dataclass(slots=True)
class Forms:
    """Made when first needed. All of it holds for one snapshot only, as the route that it belongs to."""

    log: Log
    actor: Actor
    object: str
    pin: str
    snapshot: int
    _intent: Form | None = None
    _outcome: Form | None = None
    _denied: dict[tuple[str, ...], Form] = field(default_factory=dict)

    @property
    def intent(self) -> Form:
        """Returns the form for a call that is about to be made."""
        if self._intent is None:
            self._intent = Form.intent(
                self.log,
                self.actor,
                verb=VERB,
                target=self.object,
                reasons=ALLOWED_BY,
                pin=self.pin,
                snapshot=self.snapshot,
            )
        return self._intent

    @property
    def outcome(self) -> Form:
        """Returns the form for how a call ended."""
        if self._outcome is None:
            self._outcome = Form.outcome(self.log, self.actor, verb=VERB, target=self.object)
        return self._outcome

    def denied(self, reasons: tuple[str, ...]) -> Form:
        """Returns the form for a call that is refused for these reasons."""
        found = self._denied.get(reasons)
        if found is None:
            found = Form.denied(
                self.log,
                self.actor,
                verb=VERB,
                target=self.object,
                reasons=reasons,
                pin=self.pin,
                snapshot=self.snapshot,
            )
            if len(self._denied) < _REASONS_KEPT:
                self._denied[reasons] = found
        return found
