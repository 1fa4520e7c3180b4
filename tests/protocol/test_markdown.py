"""Strangers' text on a page: read by a Markdown parser of its own, it is nothing but that text."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_aluo.protocol.markdown import escaped, plain

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

#: What GitHub's Markdown, and so Airflow's page, makes a link of in text that is not marked as one, whether
#: the characters were escaped or not. Source: mdast-util-gfm-autolink-literal, lib/index.js.
LINKED_BY_ITSELF = re.compile(
    r"https?://[-.\w]+|www(?=\.)[-.\w]+|[-.\w+]+@[-\w]+(?:\.[-\w]+)+", re.IGNORECASE
)

NASTY = [
    "**bold** _thin_ ~~gone~~ `code`",
    "![picture](https://evil.example/p.png)",
    "[click](javascript:alert(1)) <https://evil.example>",
    "<img src=x onerror=alert(1)> <!-- &lt;b&gt; --> &amp; &#60;",
    "https://evil.example/a www.evil.example WWW.evil.example a@evil.example mailto:a@evil.example",
    "# head\n- list\n1. list\n> quote\n---\n| a | b |\n|---|---|\n\n    code",
    "ends with a backslash \\",
    "| and \\| in a cell",
    "[^1]: note [^1] $x$ :smile:",
    "\u202eturned\u2066 \x00\x1b[31m\x85\u2028line",
    "half \ud83d a pair",
]


def texts(tokens: list[Token]) -> list[Token]:
    return [token for token in tokens if token.type in {"text", "text_special"}]


def seen(markdown: str) -> str:
    """Return what a reader sees of a paragraph, which must be made of text only."""
    tokens = PARSER.parse(markdown)
    assert [token.type for token in tokens] in (["paragraph_open", "inline", "paragraph_close"], [])
    children = [child for token in tokens for child in token.children or []]
    assert texts(children) == children
    return "".join(child.content for child in children)


words = st.text(st.one_of(st.characters(), st.sampled_from("\\`*_{}[]()<>#+-.!|~@:/&\n ")), max_size=80)


@given(words)
@pytest.mark.parametrize("most", [200, 10])
def test_escaped_text_is_read_as_that_text_and_as_nothing_else(most: int, text: str) -> None:
    assert seen(escaped(text, most)).replace("\u2060", "") == plain(text, most).replace("\u2060", "")


@pytest.mark.parametrize("text", NASTY)
def test_what_means_harm_is_shown_as_it_was_written(text: str) -> None:
    shown = seen(escaped(text, 500))
    assert shown.replace("\u2060", "") == plain(text, 500)
    assert not LINKED_BY_ITSELF.search(shown)


@given(words)
@example("https://a.example www.a.example a@b.example")
def test_no_text_becomes_a_link_by_itself(text: str) -> None:
    assert not LINKED_BY_ITSELF.search(seen(escaped(text, 200)))


@given(words, words)
@example("a | b", "\\| c")
def test_text_stays_in_its_cell(one: str, other: str) -> None:
    row = f"| {escaped(one, 200)} | {escaped(other, 200)} |"
    tokens = PARSER.parse(f"| One | Other |\n| --- | --- |\n{row}")
    cells = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    for cell, text in zip(cells, (one, other), strict=True):
        children = cell.children or []
        assert texts(children) == children
        shown = "".join(child.content for child in children)
        assert shown.replace("\u2060", "").strip() == plain(text, 200).replace("\u2060", "").strip()


@given(words, st.integers(1, 50))
def test_plain_text_is_one_line_of_bounded_length_that_can_be_stored(text: str, most: int) -> None:
    found = plain(text, most)
    assert len(found) <= most
    assert len(found.splitlines()) <= 1
    assert found.encode("utf-8").decode("utf-8") == found == found.strip()


def test_what_hides_text_or_turns_it_round_is_left_out() -> None:
    assert plain("a\u202eb\u2066c\x00d\x1be\x85f\u2028g\ud83dh", 50) == "a b c d e f g?h"


def test_longer_text_says_that_it_goes_on() -> None:
    assert plain("Change the product color", 12) == "Change the…"
