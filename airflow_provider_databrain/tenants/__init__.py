"""From a tenant table to dashboards. Knows no vendor."""
