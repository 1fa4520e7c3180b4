"""Ten thousand edits in one batch, against a pretend Aluo that is done at once: seconds, memory, writes.

The bar: 150 MiB over what the process has when the batch begins. No rate limit, so the time is the batch's
own CPU and the pretend Aluo's; with a real plan the rate decides (1,000 a minute: 20 minutes).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE

ROOT = Path(__file__).parents[2]
EDITS = 10_000


def main() -> None:
    pretend = [sys.executable, "-m", "tests.batch.pretend", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(pretend, cwd=ROOT, stdout=PIPE, text=True) as aluo,
    ):
        assert aluo.stdout is not None
        extra = {"requests_per_minute": 600_000}
        connection = {"conn_type": "aluo", "host": aluo.stdout.readline().strip(), "password": "sk-of-a-test"}
        settings = {
            "store": folder,
            "count": EDITS,
            "photo": "https://photos.example/a.png",
            "kill_after": [],
            "operator": {"results_path": f"{folder}/results"},
            "connection": connection | {"extra": extra},
        }
        worker = [sys.executable, "-m", "tests.batch.worker", json.dumps(settings)]
        output = subprocess.run(worker, cwd=ROOT, stdout=PIPE, text=True, check=True).stdout
        aluo.terminate()
    (told,) = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    print(
        f"{told['summary']['succeeded']} of {EDITS} edits: {told['seconds']:.0f} s, "
        f"{told['mebibytes']:.0f} MiB more memory, {told['writes']} writes to the store"
    )


if __name__ == "__main__":
    main()
