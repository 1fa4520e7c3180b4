"""The gallery: the edits of a DAG's runs, with their pictures, in Airflow's own pages."""
