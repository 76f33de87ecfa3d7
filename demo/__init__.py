"""The main job on a real Airflow, with nothing but this machine."""
