"""Databrain's operators, one module for each kind of resource."""
