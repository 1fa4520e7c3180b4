from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_aluo.protocol.rendered import collection, optional, shown, whole_number, without_query


@pytest.mark.parametrize("text", ["", " ", "\n", "None", " None\n"])
def test_what_a_template_renders_for_nothing_is_nothing(text: str) -> None:
    assert optional(text) is None


@pytest.mark.parametrize("value", ["none", "0", 0, False, [], None])
def test_any_other_value_is_left_as_it_is(value: Any) -> None:
    assert optional(value) is value


@pytest.mark.parametrize(
    ("value", "number"), [("2", 2), (" 2\n", 2), ("-2", -2), ("+2", 2), ("007", 7), (2.0, 2), (2, 2)]
)
def test_a_whole_number_is_known_in_other_clothes(value: Any, number: int) -> None:
    found = whole_number(value)
    assert found == number
    assert type(found) is int


@pytest.mark.parametrize("value", ["2.0", "two", "²", "1e3", "9" * 10, 2.5, float("inf"), True, None, [2]])
def test_what_is_no_whole_number_is_left_as_it_is(value: Any) -> None:
    assert whole_number(value) is value


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ('["a", null, true]', ["a", None, True]),
        ("['a', None, True]", ["a", None, True]),
        (" \n ['a']\n", ["a"]),
        ('\n["a"]', ["a"]),
        ('{"a": 1}', {"a": 1}),
        ("{'a': None}", {"a": None}),
        ("[]", []),
    ],
)
def test_a_collection_that_became_text_is_read_back(text: str, parsed: Any) -> None:
    assert collection(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "https://a.b/[1]",
        "[",
        "[a]",
        "{[]: 1}",
        "[{[]: 1}]",
        "[" * 100_000,
        "[\x00]",
        "[__import__('os')]",
        "[1] * 9",
        "(1, 2)",
        "'a'",
        "7",
    ],
)
def test_text_that_is_no_collection_stays_text(text: str) -> None:
    assert collection(text) is text


@pytest.mark.parametrize("value", [None, 7, ["a"], {"a": 1}])
def test_what_is_no_text_is_no_rendered_collection(value: Any) -> None:
    assert collection(value) is value


@given(
    text=st.text(st.sampled_from("[]{}()'\",:0a\\ \n#-*") | st.characters(), max_size=30).map("[{}".format)
)
@example(text="[{[]: 1}]")
def test_no_text_breaks_the_reader_of_collections(text: str) -> None:
    collection(text)
    collection(text.replace("[", "{", 1))


@pytest.mark.parametrize(
    "value",
    [
        "https://a.b/c.png?X-Signature=SECRET",
        "a.b/c.png?X-Signature=SECRET",
        "https://a.b/c d.png?X-Signature=SECRET and more SECRET",
        ["https://a.b/c.png?X-Signature=SECRET"],
        {"url": "https://a.b/c.png?X-Signature=SECRET"},
        {"what?": "https://a.b/c.png?X-Signature=SECRET"},
        (b"https://a.b/c.png?X-Signature=SECRET",),
    ],
)
def test_a_quoted_value_never_shows_an_addresss_query(value: Any) -> None:
    assert "SECRET" not in shown(value)
    assert "…" in shown(value)


@given(value=st.text() | st.lists(st.text()) | st.integers() | st.binary())
def test_a_quotation_is_short_and_stands_on_one_line(value: Any) -> None:
    assert len(shown(value)) <= 80
    assert shown(value).isprintable()


def test_a_value_is_quoted_as_python_writes_it() -> None:
    assert (shown("4:7"), shown(None), shown(["a"]), shown(0)) == ("'4:7'", "None", "['a']", "0")


def test_an_address_without_a_query_is_whole() -> None:
    assert without_query("https://a.b/c.png") == "https://a.b/c.png"
    assert without_query("https://a.b/c.png?x=1#y") == "https://a.b/c.png?…"
