"""The only place that moves bytes: two drivers for the same flows.

The worker's (:mod:`~airflow_aluo.transport.with_requests`) stands on ``requests``, the triggerer's (and
the batch's, :mod:`~airflow_aluo.transport.with_aiohttp`) on ``aiohttp``. Both send the same bytes, follow
no redirect with the key, and tell the same two things apart: what surely was *not sent*, and everything
else. A flow ends the same way under either.
"""
