"""Debian's packages, installed where root may do so. No service of theirs is started."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Asked by Debian's packages before they start a service.
POLICY = Path("/usr/sbin/policy-rc.d")
#: Seconds for one command of apt.
TIMEOUT = 400.0


def install(*packages: str) -> bool:
    """Install Debian packages; whether that was tried at all."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _one_at_a_time(), _no_services():
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            subprocess.run(
                ["apt-get", *command],
                check=False,
                capture_output=True,
                timeout=TIMEOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
    return True


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for other tests that install something: apt does not."""
    with (Path(tempfile.gettempdir()) / "aluo-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _no_services() -> Iterator[None]:
    """Forbid packages to start services, as most images of Debian do anyway."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
