"""Airflow provider that makes every tenant's embedded dashboard exist and hands its id on."""

__version__ = "0.1.0"
