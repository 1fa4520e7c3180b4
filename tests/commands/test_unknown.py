"""`airflow aluo unknown`, on a database of Airflow's with what tasks of all kinds have left in it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from airflow_aluo.batch.remembered import SHARD, shard_key
from airflow_aluo.commands import unknown
from airflow_aluo.commands.console import command
from airflow_aluo.commands.unknown_outcomes import Found, UnknownOutcome, find
from airflow_aluo.protocol.photo_edit import read
from airflow_aluo.protocol.record import submitted
from airflow_aluo.protocol.remembered import KEY, Entry, Stage
from airflow_aluo.protocol.replies import Acceptance, Credits
from airflow_aluo.protocol.schemas import validator
from tests.which_airflow import needs_provider_commands, needs_task_state_store

#: Where Airflow keeps what tasks remember, if it does.
STORE = "airflow.models.task_state_store"
AT = "2026-11-22T02:00:00+00:00"


def entry(stage: Stage, *, reported: bool = False, prompt: str = "Blue") -> dict[str, Any]:
    """Return what a task remembers of its edit."""
    record = submitted(
        read({"prompt": prompt, "image_urls": "https://x.example/a.png"}),
        Acceptance("edit_1", Credits(None, None)),
        aluo_conn_id="aluo_default",
        estimated_credits=35,
        submitted_at=1.0,
        accepted_at=2.0,
    )
    accepted = {} if stage is Stage.INTENT else {"record": record, "deadline": 9.0}
    return Entry(
        stage=stage, max_tries=2, fingerprint={"prompt": "1"}, intended_at=AT, reported=reported, **accepted
    ).to_json()


def shard(**entries: dict[str, Any]) -> dict[str, Any]:
    """Return what a batch remembers of some edits, by place: ``_0``."""
    known = {"max_tries": 2, "prints": "1 2"}
    value = {"version": 1, "entries": {place[1:]: known | one for place, one in entries.items()}}
    validator("stored_batch").validate(value)
    return value


def head(edits: int, *, generation: int = 0, returned: bool = False) -> dict[str, Any]:
    return {"version": 1, "generation": generation, "edits": edits, "max_tries": 2, "returned": returned}


INTENT = {"stage": "intent", "intended_at": AT}
TOLD = INTENT | {"reported": True}
FAILED = {
    "stage": "failed",
    "error": {"type": "AluoError", "message": 'an "intent"', "facts": {}},
    "tried": True,
}


class Database:
    """An Airflow's database, and how tasks leave things in it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        models = pytest.importorskip(STORE, reason="this Airflow has no task state store")
        self._store = models.TaskStateStoreModel
        self._runs = 0

    def task(
        self,
        state: str | None,
        values: dict[str, Any],
        *,
        dag_id: str = "a_dag",
        map_index: int = -1,
        rendered: dict[str, Any] | None = None,
    ) -> str:
        """Add a run with one task; return the run's id."""
        self._runs += 1
        run_id = f"run_{self._runs}"
        task = {"dag_id": dag_id, "run_id": run_id, "task_id": "edit", "map_index": map_index}
        add = self.session.execute
        now = datetime.now(UTC)
        run = {"dag_id": dag_id, "run_id": run_id, "run_type": "manual", "state": "running", "run_after": now}
        (number,) = add(insert(DagRun.__table__).values(**run)).inserted_primary_key
        if state is not None:
            more = {"pool": "default_pool", "pool_slots": 1, "try_number": 1, "max_tries": 2, "state": state}
            add(insert(TaskInstance.__table__).values(id=uuid4(), **task, **more))
        if rendered is not None:
            add(insert(RenderedTaskInstanceFields.__table__).values(**task, rendered_fields=rendered))
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            row = {"dag_run_id": number, "key": key, "value": text, "updated_at": now}
            add(insert(self._store.__table__).values(**task, **row))
        self.session.commit()
        return run_id

    @property
    def found(self) -> Found:
        return find(self.session)


@pytest.fixture
def database(airflow_home: Path, tmp_path: Path) -> Iterator[Database]:
    """A database as `airflow db migrate` makes it, for this test alone."""
    file = tmp_path / "airflow.db"
    file.write_bytes((airflow_home / "airflow.db").read_bytes())
    engine = create_engine(f"sqlite:///{file}")
    with Session(engine) as session:
        yield Database(session)
    engine.dispose()


def test_an_intent_of_a_failed_task_is_an_unknown_outcome_with_its_prompt(database: Database) -> None:
    value = entry(Stage.INTENT, reported=True)
    run_id = database.task("failed", {KEY: value}, map_index=3, rendered={"prompt": "Make it blue"})
    assert database.found == Found(
        [
            UnknownOutcome(
                dag_id="a_dag",
                run_id=run_id,
                task_id="edit",
                map_index=3,
                state="failed",
                edits=1,
                of=1,
                submitted_at=AT,
                prompt="Make it blue",
                reported=True,
                being_submitted=False,
            )
        ],
        unreadable=0,
    )


@pytest.mark.parametrize("state", ["failed", "up_for_retry", "queued", "upstream_failed", None])
def test_whatever_does_not_run_is_not_being_submitted(database: Database, state: str | None) -> None:
    database.task(state, {KEY: entry(Stage.INTENT)})
    (one,) = database.found.outcomes
    assert (one.state, one.being_submitted, one.prompt) == (state, False, None)


@pytest.mark.parametrize(("reported", "being_submitted"), [(False, True), (True, False)])
def test_an_intent_of_a_running_task_is_being_submitted_unless_a_person_was_told(
    database: Database, *, reported: bool, being_submitted: bool
) -> None:
    database.task("running", {KEY: entry(Stage.INTENT, reported=reported)})
    (one,) = database.found.outcomes
    assert one.being_submitted is being_submitted


def test_what_has_an_answer_or_a_decision_is_no_unknown_outcome(database: Database) -> None:
    database.task("success", {KEY: entry(Stage.INTENT, reported=True)})  # a person marked it so
    database.task("failed", {KEY: entry(Stage.ACCEPTED, prompt='with "intent"')})
    database.task("success", {KEY: entry(Stage.RETURNED)})
    database.task("failed", {"somebody_elses": {"stage": "intent"}})
    database.task("failed", {"aluo_batch": head(1), shard_key(0, 0): shard(_0=FAILED)})
    assert database.found == Found([], unreadable=0)


def test_a_batch_counts_its_edits_from_all_of_its_valid_keys(database: Database) -> None:
    early = {"stage": "intent", "intended_at": "2026-11-22T01:00:00+00:00"}
    database.task(
        "failed",
        {
            "aluo_batch": head(2 * SHARD, generation=1),
            shard_key(1, 0): shard(_0=TOLD, _1=FAILED, _7=TOLD),
            shard_key(1, 1): shard(_100=early),
            shard_key(1, 2): shard(_200=INTENT),  # beyond the batch's end
            shard_key(0, 0): shard(_0=INTENT),  # of another order, left behind
        },
    )
    database.task("failed", {shard_key(0, 0): shard(_0=INTENT)})  # of a batch that was forgotten
    (one,) = database.found.outcomes
    assert (one.edits, one.of, one.submitted_at, one.reported) == (3, 200, early["intended_at"], False)


def test_a_running_batch_tells_what_is_unknown_from_what_is_being_submitted(database: Database) -> None:
    values = {"aluo_batch": head(3), shard_key(0, 0): shard(_0=TOLD, _1=INTENT, _2=INTENT)}
    database.task("running", values)
    found = [(one.edits, one.reported, one.being_submitted) for one in database.found.outcomes]
    assert sorted(found) == [(1, True, False), (2, False, True)]


@pytest.mark.parametrize("returned", [True, False])
def test_a_batch_that_returned_what_succeeded_still_has_its_unknown_outcomes(
    database: Database, *, returned: bool
) -> None:
    database.task("success", {"aluo_batch": head(1, returned=returned), shard_key(0, 0): shard(_0=TOLD)})
    assert len(database.found.outcomes) == returned


def test_what_cannot_be_read_here_is_counted(database: Database) -> None:
    elsewhere = {"__airflow_state_ref__": "s3://bucket/key"}
    database.task("failed", {KEY: elsewhere})
    database.task("failed", {"aluo_batch": elsewhere, shard_key(0, 0): elsewhere})
    database.task("failed", {KEY: {"stage": "intent"}})
    database.task("failed", {KEY: 'half "intent'})
    database.task("failed", {KEY: '{"stage": "intent"'})
    database.task("failed", {"aluo_batch": {"version": 9}})
    database.task("failed", {"aluo_batch": head(1), shard_key(0, 0): {"entries": {"0": INTENT}}})
    assert database.found == Found([], unreadable=7)


def test_the_question_can_be_about_one_dag(database: Database) -> None:
    for dag_id in ("one", "other"):
        database.task("failed", {KEY: entry(Stage.INTENT)}, dag_id=dag_id)
        database.task("failed", {KEY: {"__airflow_state_ref__": "x"}}, dag_id=dag_id)
        batch = {"aluo_batch": head(1), shard_key(0, 0): shard(_0=INTENT)}
        database.task("failed", batch, dag_id=dag_id)
    found = find(database.session, "one")
    assert [one.dag_id for one in found.outcomes] == ["one", "one"]
    assert found.unreadable == 1


@pytest.fixture
def asked(database: Database, tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `airflow aluo unknown …` on the test's database."""

    def ask(*words: str) -> "subprocess.CompletedProcess[str]":
        database.session.close()
        settings = {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
        }
        program = [sys.executable, "-m", "airflow", "aluo", "unknown", *words]
        return subprocess.run(program, env=os.environ | settings, capture_output=True, text=True, check=False)

    return ask


@needs_provider_commands
def test_the_command_tells_each_task_and_what_to_do_and_ends_with_3(
    database: Database, asked: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    value = entry(Stage.INTENT, reported=True)
    database.task("failed", {KEY: value}, map_index=3, rendered={"prompt": "Make\nit blue"})
    database.task("failed", {"aluo_batch": head(9), shard_key(0, 0): shard(_0=INTENT, _1=INTENT)})
    database.task("running", {KEY: entry(Stage.INTENT)})
    ended = asked()
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout.startswith(f"""\
3 edits with an unknown outcome, in 2 tasks:

a_dag  run_1  edit  map index 3
  submitted  {AT}
  prompt     Make it blue
  task       failed, a person was told

a_dag  run_2  edit
  submitted  {AT}
  edits      2 of 9, the first at that time
  task       failed, nobody was told yet

What to do about each: look at the account's history at Aluo""")
    assert ended.stdout.endswith("\n1 more edit is being submitted right now.\n")


@needs_provider_commands
def test_the_command_speaks_json(
    database: Database, asked: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    database.task("failed", {KEY: entry(Stage.INTENT)}, dag_id="mine")
    database.task("failed", {KEY: entry(Stage.INTENT)}, dag_id="yours")
    ended = asked("--json", "--dag-id", "mine")
    (one,) = json.loads(ended.stdout)
    assert ended.returncode == 3
    assert (one["dag_id"], one["edits"], one["being_submitted"]) == ("mine", 1, False)


def test_where_there_is_none_the_command_is_glad(capsys: pytest.CaptureFixture[str]) -> None:
    with command():
        unknown.tell(Found([], unreadable=0))
    assert capsys.readouterr().out == "No edit has an unknown outcome. All is well.\n"


@needs_provider_commands
@pytest.mark.parametrize(("words", "out"), [([], None), (["--json"], "[]\n")], ids=["text", "json"])
def test_where_values_cannot_be_read_the_command_is_not_glad_and_ends_with_1(
    database: Database,
    asked: Callable[..., "subprocess.CompletedProcess[str]"],
    words: list[str],
    out: str | None,
) -> None:
    for _ in range(2):
        database.task("failed", {KEY: {"__airflow_state_ref__": "s3://bucket/key"}})
    ended = asked(*words)
    said = "No edit has an unknown outcome, none that can be read here (2 values cannot).\n"
    assert (ended.returncode, ended.stdout) == (1, said if out is None else out)
    assert "2 remembered values cannot be read here" in ended.stderr


@needs_provider_commands
def test_an_unknown_outcome_counts_for_more_than_a_value_that_cannot_be_read(
    database: Database, asked: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    database.task("failed", {KEY: {"__airflow_state_ref__": "s3://bucket/key"}})
    database.task("failed", {KEY: entry(Stage.INTENT)})
    ended = asked()
    assert ended.returncode == 3
    assert "1 remembered value cannot be read here" in ended.stderr


@needs_provider_commands
@needs_task_state_store
def test_a_database_that_is_not_there_ends_with_1_and_the_next_step(
    database: Database, asked: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    database.session.close()
    (tmp_path / "airflow.db").unlink()
    ended = asked()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no such table: task_state_store" in ended.stderr
    assert "`airflow db migrate` brings it up to date" in ended.stderr


@needs_provider_commands
def test_an_airflow_without_the_store_says_so(airflow_aluo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, STORE, None)
    ended = airflow_aluo("unknown")
    assert (ended.code, ended.out) == (1, "")
    assert "This Airflow has no task state store" in ended.err
