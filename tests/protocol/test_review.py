"""What a person is asked about edits, and what follows from the answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol import photo_edit, record, review
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.review import (
    APPROVE,
    MOST_EDITS,
    REDO,
    REDO_OTHERS,
    REJECT,
    REJECT_ALL,
    Answer,
    Decided,
)
from airflow_aluo.protocol.schemas import schema

RECORD = schema("edit_record")["examples"][0]
AT = "2026-11-29T17:00:00+00:00"


def edit(photo: str = "a.jpg", prompt: str = "Blue", **more: Any) -> Any:
    request = RECORD["request"] | {
        "prompt": prompt,
        "image_urls": [f"https://x.example/{photo}?signature=5ecret"],
    }
    return RECORD | {"request": request, "aluo_task_id": f"edit_{photo}"} | more


def decide(edits: list[Any], *chosen: str, prompt: str | None = None, by: str | None = "anna") -> Decided:
    decided = review.decide(edits, Answer(chosen=chosen, prompt=prompt, by=by, at=AT))
    assert [record.parse(one) for one in decided.records] == decided.records
    assert review.decisions(edits, chosen) == decisions(decided)
    return decided


def decisions(decided: Decided) -> list[str]:
    return [one["review"]["decision"] for one in decided.records]


ONE, TWO, THREE = edit("a.jpg"), edit("b.jpg"), edit("c.jpg", "Red")
LABELS = ["1: a.jpg", "2: b.jpg", "3: c.jpg"]


# --- what can be chosen ----------------------------------------------------------------------------------


def test_one_edit_is_approved_redone_or_rejected() -> None:
    assert review.options([ONE]) == [APPROVE, REDO, REJECT]


def test_of_several_those_to_approve_are_chosen() -> None:
    assert review.options([ONE, TWO, THREE]) == [*LABELS, REDO_OTHERS, REJECT_ALL]


def test_what_nobody_knows_the_request_of_cannot_be_redone() -> None:
    unknown = record.of_urls(["https://x.example/a.png"])
    assert review.options([unknown]) == [APPROVE, REJECT]
    assert review.options([unknown, unknown])[2:] == [REJECT_ALL]
    assert REDO_OTHERS in review.options([unknown, ONE])


@given(st.lists(st.text(max_size=300), min_size=2, max_size=MOST_EDITS))
def test_options_are_never_alike_short_and_on_one_line(names: list[str]) -> None:
    edits = [RECORD | {"request": None, "aluo_task_id": f"x{name}"} for name in names]
    options = review.options([*edits, ONE])
    assert len(set(options)) == len(options) == len(names) + 3
    assert all(len(one) <= 70 and len(one.splitlines()) == 1 for one in options)


def test_an_edit_is_called_after_its_photo_else_by_its_id() -> None:
    nobody = RECORD | {"request": None, "aluo_task_id": None}
    assert review.labels([ONE, RECORD | {"request": None}, nobody]) == [
        "1: a.jpg",
        "2: edit_123456789",
        "3: an edit without an id",
    ]


@pytest.mark.parametrize(
    ("edits", "on_timeout", "expected"),
    [
        ([ONE], "approve", [APPROVE]),
        ([ONE], "reject", [REJECT]),
        ([ONE, TWO], "approve", LABELS[:2]),
        ([ONE, TWO], "reject", [REJECT_ALL]),
        ([ONE, TWO], None, None),
    ],
)
def test_what_holds_when_the_time_is_over_is_among_the_options(
    edits: list[Any], on_timeout: Any, expected: Any
) -> None:
    assert review.defaults(edits, on_timeout) == expected
    assert set(expected or []) <= set(review.options(edits))


@pytest.mark.parametrize(("edits", "prompt"), [([ONE], "Blue"), ([ONE, TWO], "Blue"), ([ONE, THREE], "")])
def test_the_form_holds_the_prompt_that_all_edits_have(edits: list[Any], prompt: str) -> None:
    assert review.common_prompt(edits) == prompt


@pytest.mark.parametrize(
    ("edits", "headline"),
    [
        ([ONE], "Approve a.jpg: Blue"),
        ([edit(prompt="Blue\nand " + "so on " * 50)], f"Approve a.jpg: Blue and {'so on ' * 9}s…"),
        ([RECORD | {"request": None}], "Approve edit_123456789"),
        ([ONE, TWO, THREE], "Approve 3 photo edits: a.jpg, b.jpg, c.jpg"),
    ],
)
def test_the_headline_says_what_it_is_about(edits: list[Any], headline: str) -> None:
    assert review.subject(edits) == headline


# --- what follows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "decision"), [(APPROVE, "approved"), (REDO, "redo"), (REJECT, "rejected")]
)
def test_one_edit_is_what_was_chosen(chosen: str, decision: str) -> None:
    decided = decide([ONE], chosen)
    assert decided.records == [
        ONE | {"review": {"decision": decision, "by": "anna", "at": AT, "prompt": None}}
    ]
    assert decided.warnings == []


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([LABELS[1]], ["rejected", "approved", "rejected"]),
        ([LABELS[2], LABELS[0]], ["approved", "rejected", "approved"]),
        (LABELS, ["approved"] * 3),
        ([*LABELS, REDO_OTHERS], ["approved"] * 3),
        ([LABELS[0], REDO_OTHERS], ["approved", "redo", "redo"]),
        ([REDO_OTHERS], ["redo"] * 3),
        ([REJECT_ALL], ["rejected"] * 3),
        ([], ["rejected"] * 3),
    ],
)
def test_those_chosen_are_approved_and_the_others_rejected_or_redone(
    chosen: list[str], expected: list[str]
) -> None:
    decided = decide([ONE, TWO, THREE], *chosen)
    assert decisions(decided) == expected
    assert len(decided.redo) == expected.count("redo")
    assert decided.warnings == []


@pytest.mark.parametrize(
    ("edits", "chosen"),
    [
        ([ONE, TWO], [LABELS[0], REJECT_ALL]),
        ([ONE, TWO], [REDO_OTHERS, REJECT_ALL]),
        ([ONE, TWO], [LABELS[0], REDO_OTHERS, REJECT_ALL]),
        ([ONE], [APPROVE, REJECT]),
        ([ONE], [APPROVE, REDO]),
        ([ONE], []),
    ],
)
def test_a_contradiction_publishes_nothing_pays_nothing_and_is_said(
    edits: list[Any], chosen: list[str]
) -> None:
    decided = decide(edits, *chosen)
    assert set(decisions(decided)) == {"rejected"}
    assert decided.redo == []
    (warning,) = decided.warnings
    assert "chosen together: all edits count as rejected" in warning


def test_a_redo_asks_for_the_same_with_the_prompt_of_the_form() -> None:
    decided = decide([ONE], REDO, prompt="  Green  ")
    (wanted,) = decided.redo
    asked = {name: value for name, value in ONE["request"].items() if value not in (None, [])}
    assert wanted == asked | {"prompt": "Green"}
    assert photo_edit.read(wanted).prompt == "Green"
    assert decided.prompt == "Green"
    assert decided.records[0]["review"]["prompt"] == "Green"


@pytest.mark.parametrize("prompt", [None, "", "  ", "None", "Blue", "Blue\n"])
def test_a_redo_without_another_prompt_asks_for_the_same_again(prompt: str | None) -> None:
    decided = decide([ONE], REDO, prompt=prompt)
    assert decided.redo[0]["prompt"] == decided.prompt == "Blue"
    assert decided.records[0]["review"]["prompt"] is None


def test_edits_with_several_prompts_keep_theirs_or_all_get_the_one_of_the_form() -> None:
    kept = decide([ONE, TWO, THREE], LABELS[0], REDO_OTHERS, prompt="")
    assert ([one["prompt"] for one in kept.redo], kept.prompt) == (["Blue", "Red"], None)
    changed = decide([ONE, TWO, THREE], LABELS[0], REDO_OTHERS, prompt="Red")
    assert ([one["prompt"] for one in changed.redo], changed.prompt) == (["Red", "Red"], "Red")
    assert [one["review"]["prompt"] for one in changed.records] == [None, "Red", None]


def test_without_a_redo_there_is_no_prompt() -> None:
    assert decide([ONE], APPROVE, prompt="Green").prompt is None


def test_what_cannot_be_redone_is_rejected_and_that_is_said() -> None:
    decided = decide([ONE, RECORD | {"request": None}], REDO_OTHERS)
    assert decisions(decided) == ["redo", "rejected"]
    assert decided.warnings == [
        "what was asked for is not known, so these count as rejected: 2: edit_123456789"
    ]


def test_nobody_is_named_where_the_time_was_over() -> None:
    assert decide([ONE], APPROVE, by=None).records[0]["review"]["by"] is None


@given(st.lists(st.sampled_from([*LABELS, REDO_OTHERS, REJECT_ALL]), max_size=5, unique=True))
def test_every_edit_is_decided_once_and_only_what_was_chosen_is_approved(chosen: list[str]) -> None:
    decided = decide([ONE, TWO, THREE], *chosen)
    parts = [decided.those("approved"), decided.those("redo"), decided.those("rejected")]
    assert sum(map(len, parts)) == 3
    approved = {label for label, one in zip(LABELS, decisions(decided), strict=True) if one == "approved"}
    assert approved == (set() if REJECT_ALL in chosen else set(chosen) & set(LABELS))


# --- branches --------------------------------------------------------------------------------------------


def test_a_branch_is_a_task_id_or_several() -> None:
    assert review.branches({"approve": "publish", "redo": ["a", "b"]}) == {
        "approve": ("publish",),
        "redo": ("a", "b"),
    }
    assert review.branches({}) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"approved": "publish"}, "branches: 'approved'; expected the keys 'approve', 'redo', 'reject'"),
        ({"redo": 3}, r"branches\['redo'\]: 3; expected a task id, or a list of them"),
        ({"redo": ["a", None]}, r"branches\['redo'\]: \['a', None\]"),
        ({"redo": ""}, r"branches\['redo'\]: ''"),
        ("publish", "branches: 'publish'; expected an object"),
    ],
)
def test_other_branches_are_an_error(given: Any, said: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        review.branches(given)
