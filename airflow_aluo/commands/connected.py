"""From a connection's name to a hook, in a process that is no task."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow_aluo.airflow_names import AirflowNotFoundException
from airflow_aluo.commands.console import BAD_INPUT, Stopped, say
from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.protocol.tally import Tally

if TYPE_CHECKING:
    from airflow_aluo.protocol.account import Account


class _ToldToAPerson:
    """Stands for a task's log: what a command narrates itself is left out."""

    def info(self, message: str, *args: object) -> None:
        """Say nothing."""

    def warning(self, message: str, *args: object) -> None:
        """Say it."""
        say(f"warning: {message % args if args else message}")


class _Hook(AluoHook):
    log: Any = _ToldToAPerson()
    #: A person sees how it goes: metrics are of tasks.
    tally: Any = Tally()


def connected(aluo_conn_id: str) -> tuple[AluoHook, Account]:
    """Return a hook, and the account that its connection names.

    :raises Stopped: there is no such connection.
    :raises AluoRequestInvalid: the connection cannot be used.
    """
    # As Airflow's own `connections test` does: the environment, secrets backends, and then the database,
    # which only tasks ask through Airflow's API.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    _know_settings_of_secrets_backends()
    hook = _Hook(aluo_conn_id)
    try:
        return hook, hook.account
    except AirflowNotFoundException as error:
        raise Stopped(
            BAD_INPUT,
            f"There is no connection {aluo_conn_id!r} in the environment, a secrets backend or Airflow's "
            "database; nothing was sent. Add it:\n"
            f"  airflow connections add {aluo_conn_id} --conn-type aluo --conn-password YOUR_ALUO_API_KEY",
        ) from error


def _know_settings_of_secrets_backends() -> None:
    """Let Airflow read the defaults of the settings that providers bring along."""
    from airflow.providers_manager import ProvidersManager

    manager: Any = ProvidersManager  # not typed
    manager().initialize_providers_configuration()
