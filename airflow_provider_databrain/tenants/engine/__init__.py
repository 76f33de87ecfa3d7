"""Reads a tenant table, compares it with the ledger, and makes the dashboards match."""
