"""A pretend Aluo on this machine: the documented API without a key, a network or credits.

``python -m airflow_aluo.sandbox`` serves it; tests write
``with airflow_aluo.sandbox.server.running(speed=100) as sandbox:`` and ask ``sandbox.api_url``.
"""
