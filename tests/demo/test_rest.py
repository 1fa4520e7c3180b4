"""A client of Airflow's API that knows which failures pass."""

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_aluo.demo import rest as module
from airflow_aluo.demo.rest import CHANGE_TRIES, Rest, RestError

TOKEN = {"access_token": "t"}
LOCKED = {"detail": {"reason": "database is locked"}}


@pytest.fixture
def rest(played: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rest]:
    """A client that does not pause; its token is the first thing that is asked for."""
    monkeypatch.setattr(module, "CHANGE_PAUSE", 0.0)
    played.reply(201, TOKEN)
    rest = Rest(played.url, user="u", password="p")
    yield rest
    rest.close()


def test_a_change_is_asked_for_again_while_the_database_is_locked(rest: Rest, played: Any) -> None:
    for _ in range(CHANGE_TRIES - 1):
        played.reply(500, LOCKED)
    played.reply(200, {"dag_run_id": "one"})
    assert rest.change("POST", "dags/d/dagRuns", {"conf": {}}) == {"dag_run_id": "one"}
    assert [asked for asked, _ in played.requests[1:]] == ["POST /api/v2/dags/d/dagRuns"] * CHANGE_TRIES


def test_a_database_that_stays_locked_is_told_in_the_end(rest: Rest, played: Any) -> None:
    played.reply(500, LOCKED)
    with pytest.raises(RestError, match="database is locked") as caught:
        rest.change("POST", "dags/d/dagRuns")
    assert caught.value.status == 500
    assert len(played.requests) == 1 + CHANGE_TRIES


@pytest.mark.parametrize("status", [404, 409, 422, 503])
def test_a_change_that_is_refused_is_not_asked_for_again(rest: Rest, played: Any, status: int) -> None:
    played.reply(status, {"detail": "no"})
    with pytest.raises(RestError) as caught:
        rest.change("POST", "dags/d/dagRuns")
    assert caught.value.status == status
    assert len(played.requests) == 2


def test_a_look_is_not_repeated(rest: Rest, played: Any) -> None:
    played.reply(500, LOCKED)
    with pytest.raises(RestError):
        rest.get("dags/d")
    assert len(played.requests) == 2
