"""Databrain: its API, hook, operators, sensors and triggers."""
