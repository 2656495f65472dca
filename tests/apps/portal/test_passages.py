"""What is shown of passages: nothing is lost, nothing is added but marks, and every mark has words."""

from hypothesis import given
from hypothesis import strategies as st

from portal.parts.passages import TALKING, mark_words, paragraphs, talking
from registry.context import screening
from registry.context.excerpts import MOST_WORDS, excerpt

WORDS = st.lists(
    st.sampled_from(["export", "Export", "the", "queue", "<b>", "&amp;", "\n\n", "x_y", "é"]), max_size=300
)


@given(WORDS, st.frozensets(st.sampled_from(["export", "queue", "é", "nothing"])))
def test_an_excerpt_is_a_part_of_its_text_and_marks_what_was_asked(words, wanted):
    text = " ".join(words)
    parts = excerpt(text, wanted)
    whole = "".join(part.text for part in parts)
    assert whole.removeprefix("… ").removesuffix(" …") in text
    assert all(part.text.casefold() in wanted for part in parts if part.is_marked)
    assert any(part.is_marked for part in parts) is bool({word.casefold() for word in words} & wanted)
    assert sum(word not in {"…", "<b>", "&amp;"} for word in whole.split()) <= MOST_WORDS + 2


def test_an_excerpt_shows_where_most_of_the_words_stand():
    text = " ".join(["plain"] * 200 + ["export", "hangs"] + ["plain"] * 200 + ["export"])
    assert [part.text for part in excerpt(text, frozenset({"export", "hangs"})) if part.is_marked] == [
        "export",
        "hangs",
    ]
    assert excerpt("short", frozenset()) == excerpt("short", frozenset({"long"}))


@given(st.text(alphabet="ab \n|-*#1.`\t<", max_size=200))
def test_paragraphs_keep_every_character_that_is_not_a_blank(text):
    shown = "".join(part.heading + part.text for part in paragraphs(text))
    assert "".join(shown.split()) == "".join(text.split())


def test_lines_that_were_broken_by_hand_are_joined_and_lists_and_code_are_not():
    prose, items, code = paragraphs("When it hangs\nStop it,\nthen wait.\n\n- one\n  more\n- two\n\n| a |\n| b |")
    assert (prose.heading, prose.text) == ("When it hangs", "Stop it, then wait.")
    assert items.text == "- one more\n- two"
    assert (code.is_drawn, code.text) == (True, "| a |\n| b |")


def test_every_mark_that_screening_gives_has_words():
    secrets = [f"{screening.SECRET}{name}" for name in screening._SECRETS]
    injections = [f"{screening.INJECTION}{name}" for name in screening._INJECTIONS]
    assert sorted(TALKING) == sorted(injections) == sorted(talking([*secrets, *injections]))
    said = [mark_words(mark) for mark in (*secrets, *injections)]
    assert len(set(said)) == len(said)
    assert not any(":" in words or "-" in words for words in said)
