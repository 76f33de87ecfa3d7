"""What Airflow reads about Conduit at discovery. Imports nothing but the fields that all connection types share."""

from airflow_provider_databrain.base.provider_info import common_fields

INTEGRATION = {
    "integration-name": "Conduit",
    "external-doc-url": "https://app.getconduit.app/discover/api-reference/",
    "tags": ["service"],
}
CONNECTION = {
    "connection-type": "conduit",
    "hook-class-name": "airflow_provider_databrain.conduit.hook.ConduitHook",
    "hook-name": "Conduit",
    "conn-fields": common_fields(),
    "ui-field-behaviour": {
        "hidden-fields": ["login"],
        "relabeling": {"password": "Organization token", "schema": "Scheme (http or https)"},
        "placeholders": {"host": "https://api.getconduit.app/v2", "port": "443"},
    },
}
