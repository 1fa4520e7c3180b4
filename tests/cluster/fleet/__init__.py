"""An Airflow of many processes, as its users run it on many machines."""
