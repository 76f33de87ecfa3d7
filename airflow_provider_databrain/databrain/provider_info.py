"""What Airflow reads about Databrain at discovery. Imports nothing but the fields that all connection types share."""

from airflow_provider_databrain.base.provider_info import common_fields

INTEGRATION = {
    "integration-name": "Databrain",
    "external-doc-url": "https://docs.usedatabrain.com",
    "tags": ["service"],
}
CONNECTION = {
    "connection-type": "databrain",
    "hook-class-name": "airflow_provider_databrain.databrain.hook.DatabrainHook",
    "hook-name": "Databrain",
    "conn-fields": {
        "service_token": {
            "label": "Service token",
            "schema": {"type": ["string", "null"], "format": "password"},
            "description": "Organization-wide token; needed for workspaces, metrics and dashboards.",
        },
        "workspace_name": {
            "label": "Default workspace",
            "schema": {"type": ["string", "null"]},
            "description": "Used by operators that name no workspace.",
        },
        "data_app_name": {
            "label": "Data app",
            "schema": {"type": ["string", "null"]},
            "description": "Name of the data app that the API key belongs to.",
        },
        **common_fields(),
        "legacy_paths": {
            "label": "Legacy paths",
            "schema": {"type": ["boolean", "null"], "default": False},
            "description": "Use /api/v2/dataApp/... (older self-hosted versions).",
        },
        "workspace_metrics_path": {
            "label": "Path of workspace metrics",
            "schema": {"type": ["string", "null"]},
            "description": "Only if the server does not have it at /api/v2/workspace/metrics.",
        },
    },
    "ui-field-behaviour": {
        "hidden-fields": ["login"],
        "relabeling": {"password": "Data app API key", "schema": "Scheme (http or https)"},
        "placeholders": {"host": "https://api.usedatabrain.com", "port": "443"},
    },
}
