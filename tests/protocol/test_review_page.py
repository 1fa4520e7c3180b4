"""The page that shows edits to a person who judges them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.markdown import escaped
from airflow_aluo.protocol.review import MOST_EDITS, labels
from airflow_aluo.protocol.review_page import LONGEST_INTRODUCTION, LONGEST_PAGE, introduction, mark, page
from airflow_aluo.protocol.schemas import schema

RECORD = schema("edit_record")["examples"][0]
FILE = RECORD["files"][0]


def edit(photo: str = "a.jpg", prompt: str = "Blue", **more: Any) -> Any:
    urls = [f"https://x.example/{photo}?signature=5ecret"]
    request = RECORD["request"] | {"prompt": prompt, "image_urls": urls}
    return RECORD | {"request": request, "aluo_task_id": f"edit_{photo}"} | more


def address(position: int, kind: str, number: int) -> str:
    return f"aluo/{position}/{kind}/{number}"


ONE, TWO, THREE = edit("a.jpg"), edit("b.jpg"), edit("c.jpg", "Red")


def test_one_edit_is_shown_large_below_what_was_asked() -> None:
    shown = edit(prompt="Make it *blue*")
    assert page([shown], address) == (
        "Make it \\*blue\\*\n\n| Before | After |\n| --- | --- |\n"
        "| ![before](aluo/0/before/0?size=large) | ![after](aluo/0/after/0?size=large) |\n\n" + mark([shown])
    )


def test_several_are_rows_of_a_table_under_the_names_of_their_options() -> None:
    said, _, *lines = page([ONE, THREE], address).splitlines()
    assert said == (
        "Choose the good ones. The others are rejected, or redone if you choose *Redo the others*, too."
    )
    assert lines[0] == "| Edit | Before | After |"
    before, after = (f"![{kind}](aluo/1/{kind}/0?size=thumb)" for kind in ("before", "after"))
    assert lines[3] == f"| **2\\: c\\.jpg** Red | {before} | {after} |"


def test_the_authors_words_stand_above() -> None:
    assert page([ONE], address, "**Look at the edges.**").startswith("**Look at the edges.**\n\nBlue\n\n|")


def test_each_picture_of_an_edit_is_shown_up_to_a_number() -> None:
    found = page([edit(files=[FILE] * 12)], address)
    assert found.count("![after]") == 10
    assert "and 2 more, see the gallery" in found


def test_an_edit_of_which_nothing_is_known_shows_its_result() -> None:
    found = page([record.of_urls(["https://x.example/a.png"])], address)
    assert "\n| - | ![after](aluo/0/after/0?size=large) |\n" in found


def test_no_address_of_a_photo_stands_on_the_page() -> None:
    found = page([ONE, TWO], address) + page([ONE], address)
    assert "5ecret" not in found
    assert "x.example" not in found


# --- its length ------------------------------------------------------------------------------------------


def far(length: int) -> Any:
    """Return a function that makes addresses as long as the ids in them are."""

    def found(position: int, kind: str, number: int) -> str:
        return f"aluo/{'x' * length}/{position}/{kind}/{number}"

    return found


def test_where_pages_grow_long_there_are_fewer_pictures() -> None:
    found = page([edit(files=[FILE] * 3)] * MOST_EDITS, far(300))
    assert found.count("![after]") == MOST_EDITS
    assert found.count("and 2 more, see the gallery") == MOST_EDITS


def test_then_only_the_first_edits_have_pictures_and_all_have_their_rows() -> None:
    found = page([ONE] * MOST_EDITS, far(3000))
    assert found.count("![after]") == found.count("![before]") == 9
    assert found.count("| 1, see the gallery | 1, see the gallery |") == MOST_EDITS - 9
    assert all(escaped(label, 99) in found for label in labels([ONE] * MOST_EDITS))


def test_at_last_there_are_no_prompts() -> None:
    found = page([edit("@" * 60, "@" * 200)] * MOST_EDITS, far(3000), "x" * LONGEST_INTRODUCTION)
    assert found.count("| 1, see the gallery | 1, see the gallery |") == MOST_EDITS
    assert "\\@" * 2 not in found.replace("\u2060", "").split("**")[2]


@given(
    edits=st.lists(
        st.builds(
            edit,
            st.one_of(st.text(max_size=80), st.sampled_from(["@" * 80, "\U0001f5bc" * 80])),
            st.one_of(st.text(max_size=300), st.sampled_from(["@" * 3000, "\U0001f5bc" * 3000, ""])),
            files=st.lists(st.just(FILE), min_size=1, max_size=12),
        ),
        min_size=1,
        max_size=6,
    ),
    times=st.integers(1, MOST_EDITS),
    length=st.integers(0, 12_000),
    above=st.one_of(st.none(), st.integers(1, LONGEST_INTRODUCTION)),
)
def test_a_page_is_never_longer_than_airflows_database_takes(
    edits: list[Any], times: int, length: int, above: int | None
) -> None:
    shown = (edits * times)[:MOST_EDITS]
    found = page(shown, far(length), above and "x" * above)
    assert len(found.encode()) <= LONGEST_PAGE
    assert found.endswith(mark(shown))
    rows = [line for line in found.splitlines() if line.startswith("| ")]
    assert len(rows) == len(shown) + 2


@pytest.mark.parametrize(
    ("given_", "expected"), [("Look", "Look"), (None, None), (" ", None), ("None", None)]
)
def test_an_introduction_is_text_or_nothing(given_: Any, expected: str | None) -> None:
    assert introduction(given_) == expected
    assert introduction("é" * (LONGEST_INTRODUCTION // 2)) == "é" * (LONGEST_INTRODUCTION // 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("é" * (LONGEST_INTRODUCTION // 2 + 1), "body: 20,002 bytes; expected at most 20,000"),
        (7, "body: 7; expected Markdown, as text"),
    ],
)
def test_another_introduction_is_an_error(wrong: Any, said: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        introduction(wrong)


# --- what it is about ------------------------------------------------------------------------------------

LANDED_ELSEWHERE = [FILE | {"path": "/elsewhere.png"}]
UNLANDED = [
    RECORD | {"files": [], "result_urls": [f"https://x.example/r.png{query}"]} for query in ("?a", "?b")
]


@pytest.mark.parametrize(
    ("one", "other"),
    [([ONE], [ONE | {"files": LANDED_ELSEWHERE}]), ([UNLANDED[0]], [UNLANDED[1]])],
    ids=["landed-elsewhere", "signed-anew"],
)
def test_the_same_pictures_have_the_same_mark(one: list[Any], other: list[Any]) -> None:
    assert mark(one) == mark(other)


@pytest.mark.parametrize(
    "other",
    [
        [ONE | {"aluo_task_id": "edit_again"}],
        [ONE | {"files": [FILE | {"sha256": "0" * 64}]}],
        [ONE | {"files": [FILE] * 2}],
        [ONE, ONE],
        [UNLANDED[0]],
        [TWO],
    ],
    ids=["another-edit", "another-picture", "more-pictures", "more-edits", "an-address", "another-photo"],
)
def test_other_pictures_have_another_mark(other: list[Any]) -> None:
    assert mark(other) != mark([ONE])


def test_the_mark_is_not_seen() -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(page([ONE, TWO], address, "Look"))
    assert [one.type for one in tokens][-1] == "table_close"
    assert "edits]" not in "".join(one.content for one in tokens)
