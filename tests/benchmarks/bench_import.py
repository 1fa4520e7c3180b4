"""What importing the operators adds to parsing a DAG, and our commands to each `airflow` call: ms of CPU.

Each import runs in an interpreter of its own that has imported Airflow's BaseOperator already, or what
`airflow` imports to build its command line; ours and the others take turns, so that a machine whose speed
drifts treats all alike. The bars are 15 ms for the operators and 5 ms for the commands.
"""

import statistics
import subprocess
import sys
from importlib.util import find_spec

ROUNDS = 15

OURS = "airflow_aluo: operators and sensor"
OURS_AT_EACH_START = "airflow_aluo.cli, at each `airflow` call"

WHAT = {
    OURS: "airflow_aluo.operators.photo_edit, airflow_aluo.operators.photo_download, "
    "airflow_aluo.sensors.photo_edit",
    OURS_AT_EACH_START: "airflow_aluo.cli",
    "airflow.sdk.bases.sensor alone": "airflow.sdk.bases.sensor",
    "airflow.triggers.base alone": "airflow.triggers.base",
    "requests alone": "requests",
    "aiohttp alone": "aiohttp",
    "PIL.Image alone": "PIL.Image",
    "peer: amazon's, at each `airflow` call": "airflow.providers.amazon.aws.cli.definition",
    "peer: standard provider's bash operator": "airflow.providers.standard.operators.bash",
    "peer: dbt Cloud provider's operators": "airflow.providers.dbt.cloud.operators.dbt",
}

PROGRAM = """
import time
{before}
start = time.process_time()
import {modules}
print((time.process_time() - start) * 1000)
"""

#: What is there already.
PARSING_A_DAG = "from airflow.sdk import BaseOperator"
STARTING_AIRFLOW = "import airflow.cli.cli_config, airflow.providers_manager"
BEFORE = {name: STARTING_AIRFLOW for name in WHAT if "`airflow` call" in name}


def installed(modules: str) -> bool:
    try:
        return find_spec(modules.partition(",")[0]) is not None
    except ModuleNotFoundError:
        return False


def milliseconds(name: str) -> float:
    text = PROGRAM.format(before=BEFORE.get(name, PARSING_A_DAG), modules=WHAT[name])
    program = [sys.executable, "-c", text]
    output = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    return float(output.split()[-1])


def main() -> None:
    measured: dict[str, list[float]] = {name: [] for name, modules in WHAT.items() if installed(modules)}
    for _ in range(ROUNDS + 1):
        for name, rounds in measured.items():
            rounds.append(milliseconds(name))
    ours = statistics.median(measured[OURS][1:])
    print(f"{'median of ' + str(ROUNDS) + ', CPU':<44} {'ms':>7} {'min':>7} {'max':>7} {'to ours':>8}")
    for name, (_warm_up, *counted) in measured.items():
        median = statistics.median(counted)
        print(f"{name:<44} {median:7.1f} {min(counted):7.1f} {max(counted):7.1f} {median / ours:8.2f}")
    for name in WHAT.keys() - measured.keys():
        print(f"{name:<44} not installed")


if __name__ == "__main__":
    main()
