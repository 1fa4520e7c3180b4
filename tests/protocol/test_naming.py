"""Names are made of what strangers wrote, and stay in their folder all the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.naming import DEFAULT_NAME, LONGEST_NAME, LONGEST_VALUE, PLACEHOLDERS, Name


def name(template: str) -> Name:
    return Name(template, allowed=PLACEHOLDERS)


def test_a_template_is_filled() -> None:
    values = {"dag_id": "shop", "aluo_task_id": "edit_1", "index": 7, "ext": "png"}
    assert name(DEFAULT_NAME).of(values) == "edit_1-7.png"
    assert name("{dag_id}/a b/{index:03}.{ext}").of(values) == "shop/a b/007.png"
    assert name("{{x}}-{index}").of(values) == "{x}-7"


def test_a_template_tells_what_it_uses() -> None:
    assert name("{index}.{ext}").uses("index")
    assert not name("{index}.{ext}").uses("prompt")


@pytest.mark.parametrize(
    "template",
    ["", " ", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/ . /b", "{", "}", "{nobody}", "{index.x}",
     "{index[0]}", "{}", "{0}", "{index!s}", "{index:>9}", "a\\b", "a\nb", "a\x00", "c:d", "a*", 7, None],
)  # fmt: skip
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=r"a relative path with placeholders of .*{aluo_task_id}"):
        name(template)


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("..", "_"),
        ("", "_"),
        (None, "None"),
        ("a\u202eb\x00c\r\n", "a_b_c"),
        ("Mach es bunt!", "Mach_es_bunt"),
        ("картина", "картина"),
        ("e\u0301", "\u00e9"),
        ("x" * 80, "x" * LONGEST_VALUE),
    ],
)
def test_what_is_filled_in_makes_no_folder_and_no_trouble(value: object, filled: str) -> None:
    assert name("{prompt}.{ext}").of({"prompt": value, "ext": "png"}) == f"{filled}.png"


def test_a_value_too_long_is_cut_and_told_by_its_digest() -> None:
    one, other = (name("{prompt}").of({"prompt": "x" * 90 + end}) for end in "ab")
    assert one != other
    assert len(one) == len(other) == LONGEST_VALUE


def test_a_name_too_long_is_cut_and_told_by_its_digest() -> None:
    long = name("{prompt}{prompt}{prompt}{prompt}.{ext}")
    one, other = (long.of({"prompt": "ж" * 79 + end, "ext": "png"}) for end in "ab")
    assert one != other
    assert one.endswith(".png")
    assert len(one.encode()) <= LONGEST_NAME
    assert len(name("{prompt}" * 9).of({"prompt": "x" * 80}).encode()) <= LONGEST_NAME


@given(st.text(), st.text(), st.integers())
def test_no_value_leads_out_of_the_folder(prompt: str, run_id: str, index: int) -> None:
    found = name("a/{run_id}{prompt}/.{prompt}/{prompt}-{index}.{ext}").of(
        {"prompt": prompt, "run_id": run_id, "index": index, "ext": "png"}
    )
    segments = found.split("/")
    assert len(segments) == 4
    assert all(segment.strip(". ") and not segment.startswith(".") for segment in segments)
    assert all(len(segment.encode()) <= LONGEST_NAME and segment.isprintable() for segment in segments)
