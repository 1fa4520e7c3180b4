"""The Aluo photo-editor API as plain values and arithmetic: no Airflow, no sockets, no clock, no dice."""
