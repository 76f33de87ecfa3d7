"""Databrain's API as values, one module for each kind of resource."""
