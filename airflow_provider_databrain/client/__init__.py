"""An API call as a value, and the two ways to send it. Nothing here knows Airflow or a vendor."""
