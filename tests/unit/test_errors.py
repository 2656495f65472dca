"""Every kind of error takes a code and facts of its own, as its callers give them."""

import pytest

from kernel import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DomainError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_keeps_the_code_and_the_facts_that_it_was_given(kind):
    error = kind("It went wrong.", code="quite_special", place="here")
    assert (error.error_code, error.message, error.facts["place"]) == ("quite_special", "It went wrong.", "here")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_without_a_code_has_that_of_its_kind(kind):
    assert kind("It went wrong.").error_code == kind.code
