import copy
import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.protocol import errors
from airflow_aluo.protocol.errors import (
    AluoAddressRefused,
    AluoApiError,
    AluoConnectionError,
    AluoEditError,
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoOutOfCredits,
    AluoPictureError,
    AluoRateLimited,
    AluoReplyError,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
    AluoUnknownOutcome,
    Problem,
    dump,
    load,
)
from airflow_aluo.protocol.schemas import validator

PROBLEMS = [Problem("prompt", "''", "a sentence"), Problem("image_urls", "6 given", "1 to 5")]
API = {"http_status": 500, "code": -1, "retry_after": 2.5, "definite": False}

#: One of each, with every fact set to something that is not its default.
EACH = [
    AluoError("plain"),
    AluoRequestInvalid("photo edit", PROBLEMS),
    AluoRequestInvalid("photo edit", PROBLEMS[:1]),
    AluoRequestInvalid("publish", PROBLEMS[:1], unharmed="nothing was published"),
    AluoConnectionError("refused", sent=False),
    AluoConnectionError("lost", sent=True),
    AluoReplyError("html", http_status=200, excerpt="<html> \x00 é"),
    AluoApiError("api", **API),
    AluoRequestRejected("rejected", **API),
    AluoUnauthorized("unauthorized", **API),
    AluoOutOfCredits("broke", **API),
    AluoRateLimited("slow", **API),
    AluoServerError("server", **API),
    AluoServerError("gateway", http_status=502),
    AluoEditError("edit", aluo_task_id="edit_1"),
    AluoEditFailed("failed", aluo_task_id="edit_1"),
    AluoEditTimedOut("late", aluo_task_id="edit_1", last_status="QUEUED"),
    AluoEditTimedOut("late", aluo_task_id="edit_1", last_status=None),
    AluoPictureError("gone", url="https://cdn.aluo.ai/1.png"),
    AluoAddressRefused("private", url="http://10.0.0.7/1.png"),
    AluoUnknownOutcome("who knows"),
]

WITH_EACH = pytest.mark.parametrize("error", EACH, ids=lambda error: type(error).__name__)


def classes() -> set[type[AluoError]]:
    return {item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, AluoError)}


def test_everything_public_is_listed() -> None:
    public = {
        name for name, item in vars(errors).items() if getattr(item, "__module__", "") == errors.__name__
    }
    assert set(errors.__all__) == {name for name in public if not name.startswith("_")}


def test_each_class_is_among_the_examples() -> None:
    assert {type(error) for error in EACH} == classes()


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^    ([│├└─ ]*)(Aluo\w+)", line):
            depth, name = len(found[1]), found[2]
            above = [(at, parent) for at, parent in above if at < depth]
            drawn[name] = above[-1][1] if above else "Exception"
            above.append((depth, name))
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in classes()}


def test_only_what_a_person_must_mend_is_final() -> None:
    final = {cls for cls in classes() if cls.final}
    assert final == {
        AluoAddressRefused,
        AluoEditTimedOut,
        AluoRequestInvalid,
        AluoRequestRejected,
        AluoUnauthorized,
        AluoUnknownOutcome,
    }


def test_each_class_says_whether_trying_again_helps() -> None:
    silent = {AluoError, AluoApiError, AluoEditError}  # what stands below them says it
    words = re.compile(r"again|anew")
    for cls in classes() - silent:
        assert words.search(cls.__doc__ or ""), cls


@WITH_EACH
def test_an_error_survives_the_way_through_json(error: AluoError) -> None:
    rebuilt = load(json.loads(json.dumps(dump(error))))
    assert type(rebuilt) is type(error)
    assert vars(rebuilt) == vars(error)
    assert str(rebuilt) == str(error) == error.message


@WITH_EACH
def test_an_error_survives_pickle_and_copy(error: AluoError) -> None:
    for rebuilt in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301  # our own bytes
        assert type(rebuilt) is type(error)
        assert vars(rebuilt) == vars(error)


@WITH_EACH
def test_every_fact_is_an_attribute_and_every_attribute_a_fact(error: AluoError) -> None:
    assert set(vars(error)) == {"message", *error.facts}


@WITH_EACH
def test_a_dumped_error_is_an_event_as_the_schema_has_it(error: AluoError) -> None:
    validator("trigger_event").validate({"error": json.loads(json.dumps(dump(error)))})


def test_one_problem_stands_on_one_line_and_several_on_a_line_each() -> None:
    assert str(AluoRequestInvalid("photo edit", PROBLEMS[:1])) == (
        "photo edit cannot be used, nothing was sent: prompt: ''; expected a sentence"
    )
    assert str(AluoRequestInvalid("photo edit", PROBLEMS)) == (
        "photo edit cannot be used, nothing was sent: \n"
        "  - prompt: ''; expected a sentence\n"
        "  - image_urls: 6 given; expected 1 to 5"
    )


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        7,
        "AluoError",
        [],
        {},
        {"type": "AluoError"},
        {"type": "AluoError", "message": "m"},
        {"type": "Problem", "message": "m", "facts": {}},
        {"type": "SystemExit", "message": "m", "facts": {}},
        {"type": ["AluoError"], "message": "m", "facts": {}},
        {"type": "AluoError", "message": "m", "facts": None},
        {"type": "AluoError", "message": "m", "facts": "abc"},
        {"type": "AluoError", "message": "m", "facts": {"surplus": 1}},
        {"type": "AluoError", "message": "m", "facts": {"message": "twice"}},
        {"type": "AluoConnectionError", "message": "m", "facts": {}},
        {"type": "AluoEditTimedOut", "message": "m", "facts": {"aluo_task_id": "edit_1"}},
        {"type": "AluoRequestInvalid", "message": "m", "facts": {"subject": "s"}},
        {"type": "AluoRequestInvalid", "message": "m", "facts": {"subject": "s", "problems": 7}},
        {"type": "AluoRequestInvalid", "message": "m", "facts": {"subject": "s", "problems": [["a"]]}},
    ],
)
def test_what_is_no_dumped_error_becomes_one_of_ours_that_quotes_it(garbage: Any) -> None:
    error = load(garbage)
    assert type(error) is AluoError
    assert str(garbage)[:200] in error.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FACTS = sorted({fact for cls in classes() for fact in cls.facts})
DUMPS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(sorted(cls.__name__ for cls in classes())) | JSON,
        "message": JSON,
        "facts": st.dictionaries(st.sampled_from(FACTS), JSON, max_size=4) | JSON,
    },
)


@given(data=DUMPS | JSON)
def test_whatever_is_loaded_is_an_error_of_ours(data: Any) -> None:
    assert isinstance(load(data), AluoError)


@given(data=JSON)
def test_a_quotation_of_garbage_is_short(data: Any) -> None:
    assert len(load(data).message) <= 300


def test_a_problem_that_was_stored_before_it_said_what_was_not_done_can_be_read() -> None:
    stored = dump(AluoRequestInvalid("photo edit", PROBLEMS))
    del stored["facts"]["unharmed"]
    assert str(load(stored)) == str(AluoRequestInvalid("photo edit", PROBLEMS))
    assert "cannot be used, nothing was sent: " in str(load(stored))
