"""The web APIs as values: endpoints, models, errors and retry rules. No I/O, no Airflow."""
