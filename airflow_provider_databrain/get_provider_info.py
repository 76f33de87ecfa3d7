"""What Airflow reads about this provider at discovery. Imports nothing, so that discovery stays fast and safe."""


def get_provider_info() -> dict[str, object]:
    """The provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-databrain",
        "name": "Databrain",
        "description": "A dashboard for every tenant, provisioned from a tenant table: Databrain, PostHog, Conduit.",
        "integrations": [
            {
                "integration-name": "Databrain",
                "external-doc-url": "https://docs.usedatabrain.com",
                "tags": ["service"],
            },
            {
                "integration-name": "PostHog",
                "external-doc-url": "https://posthog.com/docs/api/dashboards",
                "tags": ["service"],
            },
            {
                "integration-name": "Conduit",
                "external-doc-url": "https://app.getconduit.app/discover/api-reference/",
                "tags": ["service"],
            },
        ],
        "operators": [
            {
                "integration-name": "Databrain",
                "python-modules": [
                    "airflow_provider_databrain.databrain.operators.client_dashboards",
                    "airflow_provider_databrain.databrain.operators.metrics",
                    "airflow_provider_databrain.databrain.operators.data_apps",
                    "airflow_provider_databrain.databrain.operators.datamarts",
                    "airflow_provider_databrain.databrain.operators.datasources",
                    "airflow_provider_databrain.databrain.operators.embeds",
                    "airflow_provider_databrain.databrain.operators.semantic_layers",
                    "airflow_provider_databrain.databrain.operators.tokens",
                    "airflow_provider_databrain.databrain.operators.dashboards",
                    "airflow_provider_databrain.databrain.operators.workspaces",
                    "airflow_provider_databrain.tenants.operators.plan",
                    "airflow_provider_databrain.databrain.operators.tenants",
                    "airflow_provider_databrain.tenants.operators.provision",
                ],
            },
            {
                "integration-name": "PostHog",
                "python-modules": ["airflow_provider_databrain.posthog.operators"],
            },
            {
                "integration-name": "Conduit",
                "python-modules": ["airflow_provider_databrain.conduit.operators"],
            },
        ],
        "sensors": [
            {
                "integration-name": "Databrain",
                "python-modules": ["airflow_provider_databrain.databrain.sensors"],
            },
            {
                "integration-name": "PostHog",
                "python-modules": ["airflow_provider_databrain.posthog.sensors"],
            },
        ],
        "hooks": [
            {
                "integration-name": "Databrain",
                "python-modules": [
                    "airflow_provider_databrain.databrain.hook",
                    "airflow_provider_databrain.databrain.hook_data",
                    "airflow_provider_databrain.databrain.keys",
                ],
            },
            {
                "integration-name": "PostHog",
                "python-modules": ["airflow_provider_databrain.posthog.hook"],
            },
            {
                "integration-name": "Conduit",
                "python-modules": ["airflow_provider_databrain.conduit.hook"],
            },
        ],
        "triggers": [
            {
                "integration-name": "Databrain",
                "python-modules": [
                    "airflow_provider_databrain.databrain.triggers.waits",
                    "airflow_provider_databrain.databrain.triggers.syncs",
                    "airflow_provider_databrain.databrain.triggers.growth",
                ],
            },
            {
                "integration-name": "PostHog",
                "python-modules": ["airflow_provider_databrain.posthog.triggers"],
            },
        ],
        "extra-links": [
            "airflow_provider_databrain.posthog.links.PostHogDashboardLink",
            "airflow_provider_databrain.posthog.links.PostHogSharedPageLink",
        ],
        "connection-types": [
            {
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
                        "description": "Used where an operator names no workspace.",
                    },
                    "data_app_name": {
                        "label": "Data app",
                        "schema": {"type": ["string", "null"]},
                        "description": "Name of the data app that the API key belongs to.",
                    },
                    **_common_fields(),
                    "legacy_paths": {
                        "label": "Legacy paths",
                        "schema": {"type": ["boolean", "null"], "default": False},
                        "description": "Use /api/v2/dataApp/... (older self-hosted versions).",
                    },
                    "workspace_metrics_path": {
                        "label": "Path of workspace metrics",
                        "schema": {"type": ["string", "null"]},
                        "description": "Only where the server has it elsewhere than /api/v2/workspace/metrics.",
                    },
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {"password": "Data app API key", "schema": "Scheme (http or https)"},
                    "placeholders": {"host": "https://api.usedatabrain.com", "port": "443"},
                },
            },
            {
                "connection-type": "posthog",
                "hook-class-name": "airflow_provider_databrain.posthog.hook.PostHogHook",
                "hook-name": "PostHog",
                "conn-fields": {
                    "region": {
                        "label": "Region",
                        "schema": {"type": ["string", "null"], "enum": ["us", "eu", None], "default": "us"},
                        "description": "Of PostHog Cloud; does not matter where Host is filled.",
                    },
                    "project_id": {
                        "label": "Project",
                        "schema": {"type": ["string", "null"], "default": "@current"},
                        "description": "Number of the project, or @current.",
                    },
                    **_common_fields(),
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {"password": "Personal API key", "schema": "Scheme (http or https)"},
                    "placeholders": {"host": "https://us.posthog.com", "port": "443"},
                },
            },
            {
                "connection-type": "conduit",
                "hook-class-name": "airflow_provider_databrain.conduit.hook.ConduitHook",
                "hook-name": "Conduit",
                "conn-fields": _common_fields(),
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {"password": "Organization token", "schema": "Scheme (http or https)"},
                    "placeholders": {"host": "https://api.getconduit.app/v2", "port": "443"},
                },
            },
        ],
    }


def _common_fields() -> dict[str, dict[str, object]]:
    """The form's fields of what every connection type takes in its extras."""
    return {
        "connect_timeout": {
            "label": "Connect timeout",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 10},
            "description": "Seconds to establish a connection.",
        },
        "read_timeout": {
            "label": "Read timeout",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 60},
            "description": "Seconds without a byte from the server.",
        },
        "max_retry_seconds": {
            "label": "Retry for",
            "schema": {"type": ["number", "null"], "minimum": 0, "default": 300},
            "description": "Seconds after a call's first try in which further tries may start.",
        },
        "max_answer_mib": {
            "label": "Largest answer",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 64},
            "description": "In MiB; a larger answer is an error.",
        },
        "verify_tls": {
            "label": "Verify TLS",
            "schema": {"type": ["boolean", "null"], "default": True},
            "description": "Check the server's certificate.",
        },
        "ca_path": {
            "label": "CA file",
            "schema": {"type": ["string", "null"]},
            "description": "Path, on the workers, of CA certificates to trust instead of the usual ones.",
        },
    }
