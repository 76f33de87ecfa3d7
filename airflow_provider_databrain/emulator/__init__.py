"""A local server that answers as the dashboard APIs do, with faults on demand. For tests, demos and first steps."""
