"""From a connection to an account: asked once for all who want it at about the same time."""

import asyncio
import gc
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk import Connection as AirflowConnection
from airflow.secrets.local_filesystem import LocalFilesystemBackend

from airflow_aluo import accounts
from airflow_aluo.accounts import FRESH, JUST_NOW, recently_read
from airflow_aluo.protocol.account import Account
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoError,
    AluoRequestInvalid,
    AluoRequestRejected,
    AluoUnauthorized,
)


def account(key: str = "sk-one", base_url: str = "https://aluo.example") -> Account:
    return Account(base_url=base_url, api_key=key, requests_per_minute=10, credits_per_edit=40)


class Airflow:
    """Is asked for a connection; answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.key = "sk-one"
        self.error: Exception | None = None
        self.answers = asyncio.Event()

    async def __call__(self) -> Account:
        self.asked += 1
        await self.answers.wait()
        if self.error:
            raise self.error
        return account(self.key)


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of :mod:`airflow_aluo.accounts`: a list with the present in it."""
    now = [1000.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(accounts, "time", Clock)
    return now


async def test_a_connection_is_read_once_for_all_who_ask_at_about_the_same_time() -> None:
    airflow = Airflow()
    asking = [asyncio.ensure_future(recently_read("aluo_default", airflow)) for _ in range(5000)]
    await asyncio.sleep(0)
    airflow.answers.set()
    assert set(await asyncio.gather(*asking)) == {account()}
    assert await recently_read("aluo_default", airflow) == account()
    assert airflow.asked == 1


async def test_each_connection_is_read_for_itself() -> None:
    one, other = Airflow(), Airflow()
    other.key = "sk-other"
    one.answers.set()
    other.answers.set()
    assert await recently_read("aluo_one", one) == account()
    assert await recently_read("aluo_other", other) == account("sk-other")


async def test_what_could_not_be_read_is_asked_for_anew() -> None:
    airflow = Airflow()
    airflow.error = LookupError("no such connection")
    asking = [asyncio.ensure_future(recently_read("aluo_default", airflow)) for _ in range(3)]
    await asyncio.sleep(0)
    airflow.answers.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in found] == [LookupError] * 3
    airflow.error = None
    assert await recently_read("aluo_default", airflow) == account()
    assert airflow.asked == 2


@pytest.mark.parametrize("cancelled", [[0], [1, 2], [0, 1, 2]])
async def test_who_is_cancelled_takes_the_answer_from_nobody(cancelled: list[int]) -> None:
    airflow = Airflow()
    asking = [asyncio.ensure_future(recently_read("aluo_default", airflow)) for _ in range(4)]
    await asyncio.sleep(0)
    for number in cancelled:
        asking[number].cancel()
    await asyncio.sleep(0)
    airflow.answers.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    for number, one in enumerate(found):
        assert isinstance(one, asyncio.CancelledError) if number in cancelled else one == account()
    assert airflow.asked == 1


async def test_a_reading_whose_askers_all_left_is_there_for_the_next_one() -> None:
    airflow = Airflow()
    asking = asyncio.ensure_future(recently_read("aluo_default", airflow))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    airflow.answers.set()
    assert await recently_read("aluo_default", airflow) == account()
    assert airflow.asked == 1


async def test_a_reading_that_was_itself_cancelled_is_not_kept() -> None:
    airflow = Airflow()

    async def cancelled() -> Account:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await recently_read("aluo_default", cancelled)
    airflow.answers.set()
    assert await recently_read("aluo_default", airflow) == account()


async def test_a_key_that_was_rotated_is_seen_after_half_a_minute(monotonic: list[float]) -> None:
    airflow = Airflow()
    airflow.answers.set()
    await recently_read("aluo_default", airflow)
    airflow.key = "sk-new"
    monotonic[0] += FRESH
    assert await recently_read("aluo_default", airflow) == account()
    monotonic[0] += 0.1
    assert await recently_read("aluo_default", airflow) == account("sk-new")


async def test_a_connection_whose_key_was_refused_is_read_anew_at_once(monotonic: list[float]) -> None:
    airflow = Airflow()
    airflow.answers.set()
    refused = await recently_read("aluo_default", airflow)
    monotonic[0] += JUST_NOW
    airflow.key = "sk-new"
    accounts.forget("aluo_default", refused)
    accounts.forget("aluo_of_nobody", refused)
    assert await recently_read("aluo_default", airflow) == account("sk-new")
    monotonic[0] += JUST_NOW
    accounts.forget("aluo_default", refused)  # another wait was refused with the old key, a bit later
    await recently_read("aluo_default", airflow)
    assert airflow.asked == 2


async def test_a_wait_that_began_with_an_earlier_reading_does_not_get_a_later_one_of_the_same_old_key(
    monotonic: list[float],
) -> None:
    airflow = Airflow()
    airflow.answers.set()
    refused = await recently_read("aluo_default", airflow)
    monotonic[0] += FRESH + 1
    await recently_read("aluo_default", airflow)  # for other waits
    monotonic[0] += JUST_NOW
    airflow.key = "sk-new"
    accounts.forget("aluo_default", refused)
    assert await recently_read("aluo_default", airflow) == account("sk-new")


async def test_a_thousand_waits_that_are_refused_together_read_a_connection_once(
    monotonic: list[float],
) -> None:
    airflow = Airflow()
    airflow.answers.set()
    refused = await recently_read("aluo_default", airflow)
    monotonic[0] += JUST_NOW
    for _ in range(1000):
        accounts.forget("aluo_default", refused)
        assert await recently_read("aluo_default", airflow) == refused
    assert airflow.asked == 2


@pytest.mark.parametrize(
    ("ending", "form"),
    [("json", "fields"), ("json", "uri"), ("yaml", "fields"), ("yaml", "uri"), ("env", "uri")],
)
def test_a_connection_in_a_file_gives_the_same_account_in_each_form(
    tmp_path: Path, ending: str, form: str
) -> None:
    key, host = "sk-a/b+c=d@e:f%g?h#i&j", "https://aluo.example/api"
    fields = {"conn_type": "aluo", "host": host, "password": key, "extra": {"plan": "pro"}}
    uri = f"aluo://:{quote(key, safe='')}@{quote(host, safe='')}/?plan=pro"
    file = tmp_path / f"connections.{ending}"
    if ending == "env":
        file.write_text(f"aluo_default={uri}\n")  # Airflow reads no JSON there
    else:  # JSON is YAML, too
        file.write_text(json.dumps({"aluo_default": uri if form == "uri" else fields}))
    backend = LocalFilesystemBackend(connections_file_path=str(file))
    if hasattr(backend, "_set_connection_class"):  # as Airflow does, since a worker has a class of its own
        backend._set_connection_class(AirflowConnection)
    connection = backend.get_connection("aluo_default")
    assert connection is not None
    found = accounts.read("aluo_default", connection, logging.getLogger())
    assert (found.api_key, found.base_url, found.requests_per_minute) == (key, host, 100)


class Aluo:
    """Takes one key; connections name another one after each look into them."""

    def __init__(self, takes: str, *named: str, refusal: AluoError | None = None) -> None:
        self.takes, self.named = takes, list(named)
        self.refusal = refusal or AluoUnauthorized("no", http_status=401)
        self.asked: list[str] = []
        #: With which keys the asking had begun when it was told that there is another.
        self.told: list[list[str]] = []

    def account(self) -> Account:
        key, _, host = self.named[0].partition("@")
        return account(key, f"https://{host or 'aluo.example'}")

    def tell(self) -> None:
        self.told.append(list(self.asked))

    def anew(self) -> None:
        self.named = self.named[1:] or self.named

    def ask(self) -> str:
        self.asked.append(self.named[0])
        if self.named[0] != self.takes:
            raise self.refusal
        return "done"


@pytest.fixture(params=["sync", "async"])
def while_keys_change(request: pytest.FixtureRequest) -> Callable[[Aluo], str]:
    """Asks in a worker, or in an event loop."""

    def in_a_loop(aluo: Aluo) -> str:
        async def ask() -> str:
            return aluo.ask()

        async def named() -> Account:
            return aluo.account()

        return asyncio.run(accounts.awhile_keys_change(ask, named, aluo.anew, aluo.tell))

    def in_a_worker(aluo: Aluo) -> str:
        return accounts.while_keys_change(aluo.ask, aluo.account, aluo.anew, aluo.tell)

    return in_a_worker if request.param == "sync" else in_a_loop


@pytest.mark.parametrize(
    "refusal",
    [AluoUnauthorized("no", http_status=401), AluoRequestRejected("no such edit", http_status=404)],
    ids=["a key that is refused", "a key of another account"],
)
def test_whose_key_is_the_wrong_one_asks_again_as_long_as_the_connection_names_another(
    while_keys_change: Callable[[Aluo], str], refusal: AluoError
) -> None:
    aluo = Aluo("sk-three", "sk-one", "sk-two", "sk-three", refusal=refusal)
    assert while_keys_change(aluo) == "done"
    assert aluo.asked == ["sk-one", "sk-two", "sk-three"]
    assert aluo.told == [["sk-one"], ["sk-one", "sk-two"]]


@pytest.mark.parametrize(
    "error", [AluoRequestRejected("bad", http_status=400), AluoConnectionError("cut", sent=True)], ids=repr
)
def test_what_no_key_can_mend_is_not_asked_again(
    while_keys_change: Callable[[Aluo], str], error: AluoError
) -> None:
    aluo = Aluo("sk-two", "sk-one", "sk-two", refusal=error)
    with pytest.raises(type(error)):
        while_keys_change(aluo)
    assert (aluo.asked, aluo.told) == (["sk-one"], [])


def test_a_key_that_stays_refused_is_asked_with_once(while_keys_change: Callable[[Aluo], str]) -> None:
    aluo = Aluo("sk-other", "sk-one")
    with pytest.raises(AluoUnauthorized):
        while_keys_change(aluo)
    assert (aluo.asked, aluo.told) == (["sk-one"], [])


def test_a_connection_that_leads_elsewhere_by_then_is_not_followed(
    while_keys_change: Callable[[Aluo], str],
) -> None:
    aluo = Aluo("sk-new@other.example", "sk-old", "sk-new@other.example")
    with pytest.raises(AluoUnauthorized):
        while_keys_change(aluo)
    assert (aluo.asked, aluo.told) == (["sk-old"], [])


async def test_a_reading_that_hangs_is_not_waited_for_for_ever_and_its_late_answer_counts_no_more(
    monotonic: list[float],
) -> None:
    hanging, airflow = Airflow(), Airflow()
    airflow.key = "sk-new"
    airflow.answers.set()
    first = asyncio.ensure_future(recently_read("aluo_default", hanging))
    await asyncio.sleep(0)
    monotonic[0] += FRESH + 1
    assert await recently_read("aluo_default", airflow) == account("sk-new")
    hanging.answers.set()
    assert await first == account()
    assert await recently_read("aluo_default", airflow) == account("sk-new")
    assert airflow.asked == 1


def test_nothing_of_an_event_loop_stays_when_it_is_gone() -> None:
    async def once() -> None:
        airflow = Airflow()
        airflow.answers.set()
        await recently_read("aluo_default", airflow)

    gc.collect()
    before = len(accounts._READ)
    for _ in range(5):
        asyncio.run(once())
    gc.collect()
    assert len(accounts._READ) <= before


class Connection:
    host, port, password, extra = "https://aluo.example", None, "no-key-at-all", None


def test_what_looks_wrong_but_works_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    found = accounts.read("aluo_default", Connection(), logging.getLogger("a_task"))  # type: ignore[arg-type]
    assert found.api_key == "no-key-at-all"
    assert "sk-" in caplog.text


@pytest.mark.parametrize("extra", ["{", "[]", "null", '"x"'])
def test_an_extra_that_is_no_object_is_refused(extra: str) -> None:
    connection: Any = Connection()
    connection.extra = extra
    with pytest.raises(AluoRequestInvalid, match="no JSON object"):
        accounts.read("aluo_default", connection, logging.getLogger("a_task"))


def test_time_is_a_clock_that_never_steps_back() -> None:
    assert accounts.time is time
