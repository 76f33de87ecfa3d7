"""An API call as a value, and the two ways to send it. No Airflow, no vendor."""
