"""What the commands ``airflow aluo ...`` do: loaded when one of them runs."""
