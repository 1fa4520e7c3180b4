"""The name under which a process of the cluster runs, as if each had a machine of its own."""

import os


def name() -> str:
    """Return it: Airflow's setting `[core] hostname_callable` leads here."""
    return os.environ["CLUSTER_HOST"]
