"""What uses Airflow's SQL connections: it makes engines from them, and writes rows through them."""
