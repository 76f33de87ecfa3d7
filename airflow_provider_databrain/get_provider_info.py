"""What Airflow reads about this provider at discovery.

It is composed of each vendor's ``provider_info`` and the table of the public face. None of these imports Airflow or a
library, so discovery stays fast and cannot fail.
"""

from airflow_provider_databrain import MODULES
from airflow_provider_databrain.conduit import provider_info as conduit
from airflow_provider_databrain.databrain import provider_info as databrain
from airflow_provider_databrain.posthog import provider_info as posthog

VENDORS = {"databrain": databrain, "posthog": posthog, "conduit": conduit}
"""The vendors, by the names of their packages."""
INTEGRATIONS = {
    **{name: vendor.INTEGRATION for name, vendor in VENDORS.items()},
    "tenants": {
        "integration-name": "Tenant tables",
        "external-doc-url": "https://github.com/airflow-provider-databrain/airflow-provider-databrain#readme",
        "tags": ["service"],
    },
}
"""Each package that has operators, hooks, sensors or triggers, with the integration that Airflow shows for it."""
KINDS = {"operators": "operators", "sensors": "sensors", "hooks": "hook", "triggers": "triggers"}
"""Airflow's name for a kind of class, and the name of our module or package that contains that kind."""


def get_provider_info() -> dict[str, object]:
    """The provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-databrain",
        "name": "Databrain",
        "description": "A dashboard for every tenant, provisioned from a tenant table: Databrain, PostHog, Conduit.",
        "integrations": list(INTEGRATIONS.values()),
        **{kind: _listed(module) for kind, module in KINDS.items()},
        "extra-links": [
            f"{__package__}.{module}.{name}"
            for module, names in MODULES.items()
            if module.endswith(".links")
            for name in names
        ],
        "connection-types": [vendor.CONNECTION for vendor in VENDORS.values()],
    }


def _listed(kind: str) -> list[dict[str, object]]:
    """The public modules of one kind, by integration."""
    listed: list[dict[str, object]] = []
    for package, integration in INTEGRATIONS.items():
        modules = [
            f"{__package__}.{module}"
            for module in MODULES
            if module == f"{package}.{kind}" or module.startswith(f"{package}.{kind}.")
        ]
        if modules:
            listed.append({"integration-name": integration["integration-name"], "python-modules": modules})
    return listed
