"""Airflow's SQL connections: engines made of them, and rows written through them."""
