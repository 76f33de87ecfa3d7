"""The engine as Airflow tasks: plan, provision, remove."""
