import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from airflow_aluo.signals_later import signals_later


class Struck(BaseException):
    """What a handler raises, as Airflow's for ``execution_timeout`` does."""


def strike(*_: object) -> None:
    raise Struck


@pytest.fixture
def alarm() -> Iterator[None]:
    """The alarm of an ``execution_timeout``."""
    before = signal.signal(signal.SIGALRM, strike)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_who_wants_to_know_is_told_at_once() -> None:
    told: list[str] = []
    later = signals_later(signal.SIGALRM, meanwhile=lambda: told.append("in the block"))
    with pytest.raises(Struck), later:  # noqa: PT012  # what happens within is the claim
        signal.raise_signal(signal.SIGALRM)
        assert told == ["in the block"]


@pytest.mark.usefixtures("alarm")
def test_a_signal_strikes_when_the_block_has_ended() -> None:
    done = []
    with pytest.raises(Struck):  # noqa: PT012  # what happens within is the claim
        with signals_later(signal.SIGALRM):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            time.sleep(0.3)
            done.append("the block")
        done.append("never")
    assert done == ["the block"]
    assert signal.getsignal(signal.SIGALRM) is strike


@pytest.mark.usefixtures("alarm")
def test_a_block_without_a_signal_changes_nothing() -> None:
    with signals_later(signal.SIGALRM):
        assert signal.getsignal(signal.SIGALRM) is not strike
    assert signal.getsignal(signal.SIGALRM) is strike


@pytest.mark.usefixtures("alarm")
def test_a_late_signal_keeps_what_the_block_raised() -> None:
    with pytest.raises(Struck) as caught, signals_later(signal.SIGALRM):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGALRM)
        raise ValueError("of the block")
    assert isinstance(caught.value.__context__, ValueError)


def test_outside_of_the_main_thread_it_does_nothing() -> None:
    done = []

    def work() -> None:
        with signals_later(signal.SIGALRM):
            done.append(signal.getsignal(signal.SIGALRM))

    before = signal.getsignal(signal.SIGALRM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]
