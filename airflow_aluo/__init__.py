"""Apache Airflow provider for the Aluo photo-editor API."""

__version__ = "0.1.0"
