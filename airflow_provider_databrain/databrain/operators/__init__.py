"""Databrain's operators, one module for each noun of the API; ``tenants`` has those that work on a tenant table."""
