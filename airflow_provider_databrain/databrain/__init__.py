"""Databrain: its API, hook, target, operators, sensors and triggers."""
