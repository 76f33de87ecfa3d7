"""PostHog's HTTP API of dashboards: one module for each noun, and one function for each operation.

Each function returns a call (see ``client.call.Call``) that a transport runs. The modules import no Airflow and open no
connection. Source: the vendor's API reference (posthog.com/docs/api/dashboards). If a real PostHog answers differently
from its reference, the code follows the answer.
"""
