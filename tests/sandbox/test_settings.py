import pytest
from pydantic import ValidationError

from airflow_aluo.sandbox.settings import Settings


def test_an_edit_takes_ten_to_thirty_seconds_as_the_vendor_says() -> None:
    assert [Settings().edit_seconds(die) for die in (0.0, 0.5, 1.0)] == [10, 20, 30]


def test_twice_the_speed_is_half_the_time() -> None:
    assert Settings(speed=2).edit_seconds(1.0) == 15
    assert Settings(speed=2).window_seconds() == 30


def test_one_number_fixes_how_long_edits_take() -> None:
    assert Settings().changed({"durations": 4}).edit_seconds(0.3) == 4


def test_a_window_of_its_own_does_not_change_with_the_speed() -> None:
    assert Settings(speed=100, rate_window=60).window_seconds() == 60


def test_without_a_limit_the_window_is_empty() -> None:
    assert Settings(rate_limit=False).window_seconds() == 0


def test_what_is_not_changed_stays() -> None:
    assert Settings(slow_post=True).changed({"speed": 3}) == Settings(slow_post=True, speed=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"durations": [30, 10]},
        {"durations": -1},
        {"durations": True},
        {"speed": 0},
        {"speed": float("inf")},
        {"running_word": "SUCCESS"},
        {"running_word": ""},
        {"task_id_type": "float"},
        {"url_lifetime": 0},
        {"sped": 3},
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings().changed(changes)
