"""What Airflow reads about PostHog at discovery. Imports nothing but the fields that all connection types share."""

from airflow_provider_databrain.base.provider_info import common_fields

INTEGRATION = {
    "integration-name": "PostHog",
    "external-doc-url": "https://posthog.com/docs/api/dashboards",
    "tags": ["service"],
}
CONNECTION = {
    "connection-type": "posthog",
    "hook-class-name": "airflow_provider_databrain.posthog.hook.PostHogHook",
    "hook-name": "PostHog",
    "conn-fields": {
        "region": {
            "label": "Region",
            "schema": {"type": ["string", "null"], "enum": ["us", "eu", None], "default": "us"},
            "description": "Region of PostHog Cloud; ignored if Host is filled.",
        },
        "project_id": {
            "label": "Project",
            "schema": {"type": ["string", "null"], "default": "@current"},
            "description": "Number of the project, or @current.",
        },
        **common_fields(),
    },
    "ui-field-behaviour": {
        "hidden-fields": ["login"],
        "relabeling": {"password": "Personal API key", "schema": "Scheme (http or https)"},
        "placeholders": {"host": "https://us.posthog.com", "port": "443"},
    },
}
