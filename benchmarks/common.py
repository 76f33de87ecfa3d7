"""The dashboard that all contenders create."""

from __future__ import annotations

from typing import Any

DASHBOARD: dict[str, Any] = {
    "dashboard_id": "client-{tenant_id}",
    "client_id": "{tenant_id}",
    "workspace_name": "analytics",
    "access_settings": {
        "datamart_name": "customer-analytics",
        "is_allow_email_reports": False,
        "is_allow_manage_metrics": True,
        "is_allow_metric_creation": True,
        "is_allow_metric_deletion": False,
        "is_allow_metric_layout_change": True,
        "is_allow_metric_update": True,
        "is_allow_underlying_data": False,
        "is_allow_create_dashboard_view": True,
        "metric_creation_mode": "DRAG_DROP",
    },
}


def fields(tenant: str) -> dict[str, Any]:
    """The request's fields for one tenant."""
    return DASHBOARD | {"dashboard_id": f"client-{tenant}", "client_id": tenant}
