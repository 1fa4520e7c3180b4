"""One task that lands pictures, measured in a fresh process, for `bench_landing.py`.

``picture_lander.py <edits|addresses> <file of addresses> <folder>`` prints one line of JSON: seconds, seconds
of CPU, and MB of memory over what the process has when the task begins.
"""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from airflow_aluo.batch.results import expanded
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.protocol import record


def main() -> None:
    form, addresses, folder = sys.argv[1], Path(sys.argv[2]).read_text().split(), sys.argv[3]
    edits: Any = addresses
    if form == "edits":
        edits = [
            record.of_edit(f"edit_{number}", aluo_conn_id="aluo_default")
            | {"status": "SUCCESS", "result_urls": [address]}
            for number, address in enumerate(addresses)
        ]
    task = PhotoDownloadOperator(
        task_id="land", edits=edits, destination=folder, aluo_conn_id="aluo_default", at_once=16
    )
    place = {"dag_id": "bench", "run_id": "r", "task_id": "land", "map_index": -1}
    ti = SimpleNamespace(max_tries=0, try_number=1, xcom_push=lambda **_: None, **place)
    context: Any = {"ti": ti, "task_instance": ti}
    memory = psutil.Process().memory_info().rss
    wall, cpu = time.perf_counter(), time.process_time()
    landed: Any = task.execute(context)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    files = [file for one in expanded(landed) for file in one["files"]]
    assert len({file["sha256"] for file in files}) == len(addresses)
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": (peak() - memory) / 1e6}), flush=True)


def peak() -> int:
    """Return the most memory that this process has had, in bytes, as Linux tells."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(told["VmHWM"].split()[0]) * 1024


if __name__ == "__main__":
    main()
