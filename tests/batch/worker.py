"""Tries of a batch in processes of their own: ``python -m tests.batch.worker <settings as JSON>``.

What is remembered lies in a folder. Each try is a fork; ``kill_after`` says after how many seconds each of
the first ones is killed (-9). Prints a JSON object for each try.
"""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from tests.conftest import Tasks, TaskStateStore


class FileStore(TaskStateStore):
    """A store that outlives its process."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def get(self, key: str) -> Any:
        path = self.folder / key
        return json.loads(path.read_text()) if path.exists() else None

    def set(self, key: str, value: Any) -> None:
        part = self.folder / f".{key}.part"
        part.write_text(json.dumps(value))
        part.replace(self.folder / key)
        self.done.append(f"set {key}")

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)


def one_try(settings: dict[str, Any], number: int) -> dict[str, Any]:
    """Run a try to its end, and tell how it went."""
    tasks, store = Tasks(), FileStore(Path(settings["store"]))
    tasks.store, tasks.ti.try_number = store, number
    edits = Path(settings["store"], "edits.jsonl")
    with edits.open("w") as file:
        for place in range(settings["count"]):
            edit = {"prompt": f"number {place}.", "image_urls": [settings["photo"]]}
            file.write(f"{json.dumps(edit)}\n")
    task = PhotoEditBatchOperator(
        **{"task_id": "batch", "edits": edits, "poll_interval": 0.1} | settings["operator"]
    )
    before, began = peak(), time.monotonic()
    told: dict[str, Any] = {}
    try:
        found = tasks.run(task)
        told["returned"] = len(found)
        told["ids"] = len({one["aluo_task_id"] for one in found if "aluo_task_id" in one})
    except Exception as error:  # noqa: BLE001  # it is told
        told["failed"] = f"{type(error).__name__}: {error}"
    told["summary"] = tasks.ti.xcoms.get(("batch", "summary"))
    return told | {
        "mebibytes": (peak() - before) / 1024,
        "seconds": time.monotonic() - began,
        "writes": len(store.done),
    }


def peak() -> int:
    """Return the most memory that this process has had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def unheard(folder: Path) -> list[str]:
    """Return the places of the intents in the store."""
    shards = [json.loads(path.read_text()) for path in folder.glob("aluo_batch_*")]
    every = [item for shard in shards for item in shard["entries"].items()]
    return [place for place, one in every if one["stage"] == "intent"]


def main() -> None:
    settings = json.loads(sys.argv[1])
    os.environ["AIRFLOW_CONN_ALUO_DEFAULT"] = json.dumps(settings["connection"])
    for number, kill_after in enumerate([*settings["kill_after"], None], 1):
        if (process := os.fork()) == 0:
            told = one_try(settings, number)
            if kill_after is not None:
                time.sleep(60)  # to be killed
            print(json.dumps(told), flush=True)
            os._exit(0)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if kill_after is not None:
            print(json.dumps({"unheard": unheard(Path(settings["store"]))}), flush=True)


if __name__ == "__main__":
    main()
