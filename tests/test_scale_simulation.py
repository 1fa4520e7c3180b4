"""The claims about the simulation of a large installation, in a process of their own.

Virtual time is the whole process's: a server in another thread, such as these tests' sandbox, would sleep on.
"""

import subprocess
import sys
from pathlib import Path

CLAIMS = Path(__file__).parent / "benchmarks" / "scale_claims.py"


def test_the_simulation_loses_no_edit_and_keeps_to_the_limit() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CLAIMS)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=CLAIMS.parents[2])
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
