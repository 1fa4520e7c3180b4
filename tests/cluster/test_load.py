"""300 mapped edits, 100 sensors and a batch of 500 at once, on one key, on a cluster: calm, and shaken."""

import pytest
from fleet.aluo import KEY, Aluo
from fleet.cluster import Cluster
from fleet.load import DAGS, SIZES, Load
from fleet.shocks import Shocks

EDITS = sum(SIZES.values())
#: Part of the requests that may be refused after the first minute.
REFUSED = 0.02
#: More submits cannot be under way when a worker is killed and when Aluo's door is shut.
UNDER_WAY = 40


@pytest.fixture(scope="module")
def calm(cluster: Cluster, aluo: Aluo, told: list[str]) -> Load:
    """A load while nothing happens."""
    load = Load(cluster, aluo, "calm")
    load.begin()
    load.wait()
    told.append(load.told())
    return load


@pytest.fixture(scope="module")
def struck(calm: Load, told: list[str]) -> tuple[Load, Shocks]:
    """A load while one thing after the other is killed, frozen, restarted and taken away."""
    load = Load(calm.cluster, calm.aluo, "shaken")
    load.begin()
    shocks = Shocks(load)
    shocks.begin()
    try:
        load.wait()
    finally:
        shocks.end()
    told += [load.told(), f"under way at each shock: {shocks.struck}; restarted: {load.cluster.restarted}"]
    return load, shocks


@pytest.fixture(scope="module")
def shaken(struck: tuple[Load, Shocks]) -> Load:
    return struck[0]


@pytest.fixture(params=["calm", "shaken"])
def load(request: pytest.FixtureRequest) -> Load:
    found: Load = request.getfixturevalue(request.param)
    return found


def test_every_edit_succeeds(load: Load) -> None:
    assert load.run_states() == dict.fromkeys(DAGS, "success")
    assert load.states() == {
        "batch success": 1,
        "edit success": SIZES["edit"],
        "submit success": SIZES["submit"],
        "wait success": SIZES["submit"],
    }
    assert len(load.ledger.charged) == EDITS


def test_nothing_is_left_in_the_triggerers(load: Load) -> None:
    assert load.triggers_left == 0


def test_the_limit_is_kept_after_the_first_minute(load: Load) -> None:
    assert max(asked for asked, _ in load.ledger.a_minute()) > 100, "there was nothing to keep"
    assert load.ledger.refused() <= REFUSED, load.ledger.a_minute()


def test_a_calm_cluster_submits_nothing_twice_and_asks_nobody(calm: Load) -> None:
    assert set(calm.ledger.accepted.values()) == {1}
    assert calm.unknown == {}


def test_a_shaken_cluster_submits_again_only_what_a_person_was_asked_about(shaken: Load) -> None:
    assert shaken.unasked() == {}
    assert shaken.asked_about() <= UNDER_WAY


def test_every_shock_struck_while_edits_were_under_way(struck: tuple[Load, Shocks]) -> None:
    _, shocks = struck
    assert len(shocks.struck) == 7
    assert all(under_way > 0 for _, under_way in shocks.struck), shocks.struck


def test_no_log_holds_the_key(shaken: Load) -> None:
    logs = [file for file in shaken.cluster.logs.rglob("*") if file.is_file()]
    assert len(logs) > EDITS - SIZES["batch"], "there are no logs of tasks"
    assert [file for file in logs if KEY.encode() in file.read_bytes()] == []
