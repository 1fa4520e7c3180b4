"""Kills workers as the kernel does when memory is short: with SIGKILL, without a word."""

import psutil


def kill_task(pid: int) -> None:
    """Kill a task's process alone; the worker that supervises it lives on and tells Airflow."""
    psutil.Process(pid).kill()


def kill_worker(pid: int) -> None:
    """Kill a task's process and the worker that supervises it: nobody tells Airflow anything."""
    task = psutil.Process(pid)
    worker = task.parent()
    if worker is None or "airflow worker" not in " ".join(worker.cmdline()):
        raise RuntimeError(f"process {pid} is no task of a LocalExecutor's worker")
    task.suspend()  # it must not notice that its worker is gone
    worker.kill()
    task.kill()
