"""Plays rows: each from its start to its end, with all that there is to see of it."""

import time
import traceback
from contextlib import closing
from typing import TYPE_CHECKING

from airflow_aluo.demo.local_airflow import task_name
from harness.claims import wrongs
from harness.play import Play
from harness.rig import Rig
from harness.row import Finding, Row

if TYPE_CHECKING:
    from harness.shocks import Shock


def play(row: Row, rig: Rig, shock: "Shock | None" = None) -> Finding:
    """Play a row, with others of its shock if any; whatever happens, say what became of it."""
    found = Finding(row=row)
    start = time.monotonic()
    with closing(Play(row, rig, shock)) as one:
        try:
            (row.script or Play.start)(one)
            one.until_ended()
            rig.aluo.wait_for_the_end(one.mark, 30)
        except Exception as error:  # noqa: BLE001  # it is this row's finding; the others go on
            trace = "".join(traceback.format_exception(error)[-3:])
            found.wrongs.append(f"{type(error).__name__}: {error}\n{trace}")
        try:
            _look_at(one, found)
            found.wrongs.extend(wrongs(found))
            if not one.was_running:
                found.wrongs.append("its run had ended before the Airflow was shaken")
        except Exception as error:  # noqa: BLE001
            found.wrongs.append(f"{type(error).__name__}: {error}")
    found.seconds = time.monotonic() - start
    return found


def _look_at(one: Play, found: Finding) -> None:
    ledger = one.rig.aluo.ledger(one.mark)
    found.accepted, found.charged, found.posts = ledger.accepted, ledger.charged, ledger.posts
    found.entries = ledger.entries
    found.said = [str(said) for said in one.rig.proxy.said(one.run_id)]
    instances = one.instances()
    found.ends = {task_name(instance): instance["state"] for instance in instances}
    found.tries = {task_name(instance): instance["try_number"] for instance in instances}
    found.records = {task_name(instance): one.record(instance) for instance in instances}
    found.logs = one.logs()
