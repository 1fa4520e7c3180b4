import socket

import pytest

from airflow_aluo.sandbox.serving import address, bound


def test_port_0_is_any_free_one() -> None:
    with bound("127.0.0.1", 0) as one, bound("127.0.0.1", 0) as other:
        assert address(one) != address(other)


def test_a_taken_port_is_an_error() -> None:
    with bound("127.0.0.1", 0) as one, pytest.raises(OSError, match="in use"):
        bound("127.0.0.1", one.getsockname()[1])


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_the_other_loopback_address_is_written_in_brackets() -> None:
    try:
        listening = bound("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with listening:
        assert address(listening).startswith("http://[::1]:")
