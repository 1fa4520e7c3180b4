"""What the chaos suite stands on: a real Airflow, a proxy before its execution API, a pretend Aluo."""
