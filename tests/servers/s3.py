"""An S3-compatible store of our own, and what it holds."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from airflow_aluo.demo.processes import Processes
from airflow_aluo.demo.settings import LOOPBACK, clean_environment, free_port

#: Name of the process among those of its folder.
NAME = "s3"
#: Seconds; two are usual.
START_TIMEOUT = 60.0
_LOGIN = "a-test"
_REGION = "us-east-1"


class Store:
    """What a test asks of the store. Who must know its address before it runs takes one, and starts it later.

    :param port: on which it listens; a free one if left out.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"

    @cached_property
    def client(self) -> Any:
        """The store, as boto3 has it."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=_REGION,
            aws_access_key_id=_LOGIN,
            aws_secret_access_key=_LOGIN,
        )

    @property
    def connection(self) -> str:
        """An Airflow connection to it, as JSON."""
        return connection(self.url)

    def start(self, processes: Processes, **environment: str) -> None:
        """Run it as a process of these, until they end; return when it answers.

        :raises ProcessError: it does not start.
        """
        command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(self.port)]
        child = processes.start(NAME, command, clean_environment() | environment)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            child.raise_if_ended()
            with suppress(OSError), socket.create_connection((LOOPBACK, self.port)):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the store did not answer within {START_TIMEOUT:.0f} s")
            time.sleep(0.05)

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Return what lies in a bucket, by its key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: self.client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def connection(url: str) -> str:
    """Return an Airflow connection to a store at this address, as JSON."""
    extra = {"endpoint_url": url, "region_name": _REGION}
    return json.dumps({"conn_type": "aws", "login": _LOGIN, "password": _LOGIN, "extra": extra})


@contextmanager
def temporary_store(processes: Processes, *buckets: str) -> Iterator[Store]:
    """Run a store with these buckets for the time of the block.

    :raises ProcessError: it does not start.
    """
    store = Store()
    store.start(processes)
    try:
        for bucket in buckets:
            store.client.create_bucket(Bucket=bucket)
        yield store
    finally:
        store.client.close()
        processes.stop([NAME])
