"""A process that uses the key of the environment's connection, for `bench_shared_key.py`, until it is ended.

``key_user.py worker`` works off one endless batch. ``key_user.py feeder <file>`` submits and writes each
record into the file, ``key_user.py triggerer <file>`` waits for what stands there; what has ended stands in
``<file>.ended``, and the feeder is never more than OPEN edits ahead of that.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.protocol import record
from airflow_aluo.protocol.record import EditRecord
from airflow_aluo.protocol.schedule import DEFAULT_TIMEOUT
from airflow_aluo.triggers.photo_edit import PhotoEditTrigger

PHOTO = os.environ["ALUO_BENCH_PHOTO"]
#: Edits in a worker's batch: more than it can make.
EDITS = 2000
#: Edits that a feeder has submitted and its triggerer waits for, at most.
OPEN = 40
#: Seconds between two looks into the other's file.
LOOK = 0.1


class Store(dict[str, Any]):
    """What a batch asks of Airflow's task state store."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def work() -> None:
    prompts = [f"worker {os.getpid()}, edit {number}" for number in range(EDITS)]
    operator = PhotoEditBatchOperator(task_id="batch", photos=[PHOTO], prompts=prompts)
    place = {"dag_id": "bench", "run_id": "r", "task_id": "batch", "map_index": -1}
    ti = SimpleNamespace(max_tries=0, try_number=1, xcom_push=lambda **_: None, **place)
    context: Any = {"ti": ti, "task_instance": ti, "task_state_store": Store()}
    operator.execute(context)


async def feed(file: Path) -> None:
    hook = AluoHook()
    for number in range(EDITS):
        while number - ended(file) >= OPEN:  # noqa: ASYNC110  # the triggerer is another process
            await asyncio.sleep(LOOK)
        prompt = f"feeder {os.getpid()}, edit {number}"
        append(file, json.dumps(await hook.agenerate(prompt, image_urls=[PHOTO])) + "\n")


def ended(file: Path) -> int:
    """Return how many edits have ended: a byte stands for each."""
    counted = Path(f"{file}.ended")
    return counted.stat().st_size if counted.exists() else 0


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


async def trigger(file: Path) -> None:
    async def one(pending: EditRecord) -> None:
        now = time.time()
        rule = record.wait_rule(pending, deadline=now + DEFAULT_TIMEOUT, poll_interval=None, started_at=now)
        waits = PhotoEditTrigger(
            aluo_task_id=record.task_id(pending), aluo_conn_id="aluo_default", **asdict(rule)
        )
        async for event in waits.run():
            if "snapshot" not in event.payload:
                print(event.payload, flush=True)
        append(Path(f"{file}.ended"), "x")

    append(file, "")
    async with asyncio.TaskGroup() as group:
        with file.open() as submitted:
            async for pending in records(submitted):
                group.create_task(one(pending))


async def records(submitted: TextIO) -> AsyncIterator[EditRecord]:
    """Return what is written into a file, as it is written."""
    rest = ""
    while True:
        rest += submitted.readline()
        if rest.endswith("\n"):
            yield json.loads(rest)
            rest = ""
        else:
            await asyncio.sleep(LOOK)


def main() -> None:
    role, *files = sys.argv[1:]
    if role == "worker":
        work()
    else:
        asyncio.run({"feeder": feed, "triggerer": trigger}[role](Path(*files)))


if __name__ == "__main__":
    main()
