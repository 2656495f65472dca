"""Every reason against a call has words and a remedy that people understand."""

import pytest

from portal.parts.reasons import REASONS, remedy_of, words_of
from tests.docs import codes


@pytest.mark.parametrize("reason", sorted(codes.reasons()))
def test_every_reason_is_said_in_a_few_words_with_who_can_change_it(reason):
    assert 0 < len(words_of(reason)) <= 34
    assert "." not in words_of(reason)
    assert remedy_of(reason).endswith(".")


def test_no_words_are_kept_for_reasons_that_are_gone():
    assert REASONS.keys() <= codes.reasons()


def test_a_reason_of_another_version_is_shown_as_it_stands():
    assert words_of("share.not_signed") == "share: not signed"
    assert remedy_of("share.not_signed") == ""
