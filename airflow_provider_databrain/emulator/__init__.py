"""A local server that answers like the dashboard APIs and injects faults, for tests, demos and first steps."""
