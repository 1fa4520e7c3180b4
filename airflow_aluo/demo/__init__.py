"""A real Airflow beside a pretend Aluo, on this machine, for one command: ``make demo``."""
