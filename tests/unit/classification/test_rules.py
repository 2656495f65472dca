"""The decision is monotone, and no approval covers what is missing or has failed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints.classification.rules import (
    CAPS,
    PROVEN,
    Approval,
    Pattern,
    judge,
    lower,
    raise_pattern,
    rule_version,
)
from blueprints.classification.signals import (
    CATALOGUE,
    EXECUTED_SIGNALS,
    FILE_SIGNALS,
    LEVELS,
    Executed,
    State,
)
from kernel.errors import Forbidden, Invalid

NOW = datetime(2026, 11, 23, tzinfo=UTC)
APPROVAL = Approval(asked_by="ana", approved_by="ben", reason="a pilot", until=NOW + timedelta(days=1))
ALL_MET = {signal.name: State.MET for signal in FILE_SIGNALS}
ALL_PASSED = {signal.name: Executed.PASSED for signal in EXECUTED_SIGNALS}
NOT_RUN = {signal.name: Executed.NOT_RUN for signal in EXECUTED_SIGNALS}

# A few flaws on top of everything, so that every level is reached and not only the lowest.
file_flaws = st.dictionaries(st.sampled_from(list(ALL_MET)), st.sampled_from([State.UNMET, State.UNKNOWN]), max_size=4)
run_flaws = st.dictionaries(
    st.sampled_from(list(ALL_PASSED)), st.sampled_from([Executed.NOT_RUN, Executed.FAILED]), max_size=3
)
all_files = file_flaws.map(lambda flaws: {**ALL_MET, **flaws})
all_runs = run_flaws.map(lambda flaws: {**ALL_PASSED, **flaws})
WORST_TO_BEST = (Executed.FAILED, Executed.NOT_RUN, Executed.PASSED)


@given(all_files, all_runs, st.sampled_from(FILE_SIGNALS))
def test_a_better_file_signal_never_lowers_and_a_worse_never_raises(files, runs, signal):
    best = judge({**files, signal.name: State.MET}, runs)
    unmet = judge({**files, signal.name: State.UNMET}, runs)
    unknown = judge({**files, signal.name: State.UNKNOWN}, runs)
    absent = judge({name: state for name, state in files.items() if name != signal.name}, runs)
    assert best.level >= unmet.level == unknown.level == absent.level
    assert best.pattern == Pattern.DARK_FACTORY or unmet.pattern == Pattern.INTERACTIVE


@given(all_files, all_runs, st.sampled_from(EXECUTED_SIGNALS))
def test_a_better_run_never_lowers_and_a_worse_never_raises(files, runs, signal):
    levels = [judge(files, {**runs, signal.name: state}).level for state in WORST_TO_BEST]
    assert levels == sorted(levels)


@given(all_files, all_runs)
def test_what_was_not_passed_never_gives_dark_factory(files, runs):
    judgement = judge(files, runs)
    assert (judgement.pattern == Pattern.DARK_FACTORY) == (judgement.level >= PROVEN)
    if any(state != Executed.PASSED for state in runs.values()):
        assert judgement.pattern == Pattern.INTERACTIVE


@given(all_files, all_runs)
def test_what_is_missing_is_said_and_nothing_else(files, runs):
    judgement = judge(files, runs)
    lacking = {name for name, state in {**files, **runs}.items() if state not in {State.MET, Executed.PASSED}}
    assert {item.signal for item in judgement.missing} == lacking
    assert bool(lacking) == (judgement.level < len(LEVELS) - 1)
    if judgement.missing:
        first = judgement.missing[0]
        cap = CAPS.get(first.signal, len(LEVELS)) if first.state == "failed" else len(LEVELS)
        assert judgement.level >= min(first.level - 1, cap), "the first thing to do is one that holds the level back"


@pytest.mark.parametrize("name", [name for name, signal in CATALOGUE.items() if signal.level <= PROVEN])
def test_every_needed_signal_alone_keeps_dark_factory_away(name):
    files = {key: state for key, state in ALL_MET.items() if key != name}
    runs = {key: state for key, state in ALL_PASSED.items() if key != name}
    judgement = judge(files, runs)
    assert judgement.pattern == Pattern.INTERACTIVE
    assert judgement.level == CATALOGUE[name].level - 1
    assert [item.signal for item in judgement.missing] == [name]


def test_the_whole_catalogue_gives_the_highest_level():
    judgement = judge(ALL_MET, ALL_PASSED)
    assert (judgement.pattern, judgement.level, judgement.missing) == (Pattern.DARK_FACTORY, 5, ())


def test_files_alone_never_give_dark_factory():
    assert judge(ALL_MET, {}).level == judge(ALL_MET, NOT_RUN).level == PROVEN - 1


@pytest.mark.parametrize(("name", "cap"), CAPS.items())
def test_a_failed_run_takes_back_what_files_promise(name, cap):
    judgement = judge(ALL_MET, {**NOT_RUN, name: Executed.FAILED})
    assert judgement.level == cap
    assert judgement.missing[0].signal == name


def test_the_rule_version_moves_with_the_rules(monkeypatch):
    before = rule_version()
    monkeypatch.setattr("blueprints.classification.rules.MIN_CATCH_PERCENT", 61)
    assert rule_version() != before


def test_a_person_may_lower_and_not_raise():
    assert lower(Pattern.DARK_FACTORY, Pattern.INTERACTIVE) == Pattern.INTERACTIVE
    assert lower(Pattern.DARK_FACTORY, Pattern.DARK_FACTORY) == Pattern.DARK_FACTORY
    with pytest.raises(Forbidden) as refused:
        lower(Pattern.INTERACTIVE, Pattern.DARK_FACTORY)
    assert refused.value.missing == "approval"


def test_an_approval_stands_in_for_runs_that_were_not_made():
    files = {**ALL_MET, "safety.policy": State.UNMET}
    assert raise_pattern(judge(files, NOT_RUN), NOT_RUN, approval=APPROVAL, now=NOW) == Pattern.DARK_FACTORY


@pytest.mark.parametrize("name", [signal.name for signal in FILE_SIGNALS if signal.level <= PROVEN])
def test_no_approval_stands_in_for_what_files_lack(name):
    judgement = judge({**ALL_MET, name: State.UNMET}, ALL_PASSED)
    with pytest.raises(Forbidden, match=name):
        raise_pattern(judgement, ALL_PASSED, approval=APPROVAL, now=NOW)


@pytest.mark.parametrize("signal", EXECUTED_SIGNALS)
def test_no_approval_stands_in_for_a_run_that_failed(signal):
    runs = {**ALL_PASSED, signal.name: Executed.FAILED}
    with pytest.raises(Forbidden, match=signal.name):
        raise_pattern(judge(ALL_MET, runs), runs, approval=APPROVAL, now=NOW)


@pytest.mark.parametrize(
    ("approval", "error"),
    [
        (Approval("ana", "ana", "why", NOW + timedelta(days=1)), Forbidden),
        (Approval("ana", "", "why", NOW + timedelta(days=1)), Forbidden),
        (Approval("ana", "ben", "why", NOW), Forbidden),
        (Approval("ana", "ben", "  ", NOW + timedelta(days=1)), Invalid),
    ],
)
def test_an_approval_needs_another_person_a_reason_and_an_end(approval, error):
    with pytest.raises(error):
        raise_pattern(judge(ALL_MET, NOT_RUN), NOT_RUN, approval=approval, now=NOW)
