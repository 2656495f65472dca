"""What a repository may be used for at a moment: one answer, and nothing makes it more than its record allows."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from blueprints.classification.record import TYPE
from blueprints.classification.rules import VALID_COMMITS, Pattern, judge, rule_version
from blueprints.classification.signals import EXECUTED_SIGNALS, FILE_SIGNALS, Executed, State
from blueprints.classification.standing import SENTENCES, Because, hindrance_of, standing
from kernel.clock import timestamp

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DARK, INTERACTIVE = Pattern.DARK_FACTORY, Pattern.INTERACTIVE


def record(files=None, executed=None, *, begin=NOW, days=30, **over):
    """Returns a record as a measurement would make it: everything met and passed, but for what is said."""
    states = {signal.name: State.MET for signal in FILE_SIGNALS} | (files or {})
    runs = {signal.name: Executed.PASSED for signal in EXECUTED_SIGNALS} | (executed or {})
    judgement = judge(states, runs)
    return {
        "type": TYPE,
        "rule_version": rule_version(),
        "pattern": judgement.pattern.value,
        "level": judgement.level,
        "signals": {name: state.value for name, state in (states | runs).items()},
        "at": timestamp(begin),
        "expires": timestamp(begin + timedelta(days=days)),
    } | over


file_flaws = st.dictionaries(
    st.sampled_from([signal.name for signal in FILE_SIGNALS]), st.sampled_from([State.UNMET, State.UNKNOWN]), max_size=2
)
run_flaws = st.dictionaries(
    st.sampled_from([signal.name for signal in EXECUTED_SIGNALS]),
    st.sampled_from([Executed.NOT_RUN, Executed.FAILED]),
    max_size=3,
)
moments = st.integers(-40, 40).map(lambda days: NOW + timedelta(days=days))


@given(file_flaws, run_flaws, st.booleans(), st.none() | moments, moments, st.integers(-1, 400))
def test_only_what_holds_is_proven_or_could_be_approved_and_is_not_held_down_gives_dark_factory(
    files, runs, lowered, until, at, ahead
):
    made = record(files, runs)
    found = standing(made, lowered=lowered, approved_until=until, at=at, commits_since=ahead)
    in_time = NOW - timedelta(minutes=5) <= at < NOW + timedelta(days=30) and 0 <= ahead < VALID_COMMITS
    failed = any(state == Executed.FAILED for state in runs.values())
    if found.pattern == DARK:
        assert in_time
        assert not lowered
        assert not failed
        assert found.until is not None
        assert at < found.until <= NOW + timedelta(days=30)
        assert made["pattern"] == DARK or (until is not None and at < until)
    if made["pattern"] == DARK and in_time and not lowered:
        assert found.pattern == DARK
    if failed:
        assert hindrance_of(made)


@given(file_flaws, run_flaws, moments, moments)
def test_an_approval_never_takes_anything_away_and_lowering_never_gives(files, runs, until, at):
    made = record(files, runs)
    plain = standing(made, lowered=False, approved_until=None, at=at)
    approved = standing(made, lowered=False, approved_until=until, at=at)
    held = standing(made, lowered=True, approved_until=None, at=at)
    assert plain.pattern == INTERACTIVE or approved.pattern == DARK
    assert held.pattern == INTERACTIVE


def test_each_reason_is_given_where_it_is_meant():
    not_run = {signal.name: Executed.NOT_RUN for signal in EXECUTED_SIGNALS}
    later = NOW + timedelta(days=9)
    reasons = {
        Because.UNMEASURED: standing(None, lowered=True, approved_until=later, at=NOW),
        Because.UNSIGNED: standing(record(), lowered=False, approved_until=later, at=NOW, signed=False),
        Because.EXPIRED: standing(record(days=1), lowered=False, approved_until=later, at=NOW + timedelta(days=1)),
        Because.OTHER_RULES: standing(record(rule_version="0"), lowered=False, approved_until=later, at=NOW),
        Because.LOWERED: standing(record(), lowered=True, approved_until=None, at=NOW),
        Because.PROVEN: standing(record(), lowered=False, approved_until=None, at=NOW),
        Because.APPROVED: standing(record(executed=not_run), lowered=False, approved_until=later, at=NOW),
        Because.NOT_PROVEN: standing(record(executed=not_run), lowered=False, approved_until=None, at=NOW),
    }
    assert {because: found.because for because, found in reasons.items()} == {because: because for because in Because}
    assert reasons[Because.APPROVED].until == later
    assert {SENTENCES[because] for because in Because} == {found.sentence for found in reasons.values()}


def test_an_approval_falls_with_a_run_that_failed_or_a_file_that_is_gone():
    not_run = {signal.name: Executed.NOT_RUN for signal in EXECUTED_SIGNALS}
    later = NOW + timedelta(days=9)
    for made in (
        record(executed={**not_run, "executed.lint": Executed.FAILED}),
        record({"tests.real": State.UNMET}, not_run),
        record(executed=not_run, signals="nonsense"),
        record(executed=not_run, signals={"tests.real": "splendid"}),
    ):
        assert standing(made, lowered=False, approved_until=later, at=NOW).because == Because.NOT_PROVEN


@given(
    st.dictionaries(
        st.sampled_from(["type", "rule_version", "at", "expires", "signals"]), st.none() | st.text(max_size=9)
    )
)
def test_a_record_of_which_something_cannot_be_read_gives_nothing(broken):
    if broken:
        found = standing({**record(), **broken}, lowered=False, approved_until=None, at=NOW)
        assert found.pattern == INTERACTIVE or set(broken) == {"signals"}
