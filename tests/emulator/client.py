"""Plain HTTP to an emulator."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_databrain.emulator.server import Emulator
from tests.support import WORKSPACE

CREATE = "/api/v2/data-app/dashboard-embeds"
EMBEDS = "/api/v2/data-app/embeds"
RENAME = "/api/v2/data-app/embeds/rename"
METRICS_PATH = "/api/v2/workspace/metrics"
DASHBOARDS = "/api/v2/workspace/dashboards"
WORKSPACES = "/api/v2/workspace"

ACCESS: dict[str, Any] = {
    "datamartName": "customer-analytics",
    "isAllowEmailReports": False,
    "isAllowManageMetrics": True,
    "isAllowMetricCreation": True,
    "isAllowMetricDeletion": False,
    "isAllowMetricLayoutChange": True,
    "isAllowMetricUpdate": True,
    "isAllowUnderlyingData": False,
    "isAllowCreateDashboardView": True,
    "metricCreationMode": "DRAG_DROP",
}


def body(tenant: str = "acme", **changes: Any) -> dict[str, Any]:
    """A valid request body for one tenant. A change to ``...`` removes a field."""
    fields = {
        "dashboardId": f"client-{tenant}",
        "clientId": tenant,
        "workspaceName": WORKSPACE,
        "accessSettings": ACCESS,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


def call(emulator: Emulator, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
    """Send one request, with the token that the path needs unless another token is given."""
    usual = emulator.api_key if "/data-app/" in path or "/dataApp/" in path else emulator.service_token
    headers = {"Authorization": f"Bearer {token or usual}", **options.pop("headers", {})}
    return requests.request(method, emulator.url + path, headers=headers, timeout=5, **options)


def create(emulator: Emulator, tenant: str = "acme", **changes: Any) -> requests.Response:
    """Create one tenant's dashboard."""
    return call(emulator, "POST", CREATE, json=body(tenant, **changes))


def refusal(answer: requests.Response) -> tuple[int, str, str]:
    """Return status, code and message of an error answer, which must hold nothing else."""
    payload = answer.json()
    assert set(payload) == {"error"}
    assert set(payload["error"]) == {"code", "message"}
    return answer.status_code, payload["error"]["code"], payload["error"]["message"]


def is_refused_as_read_only(answer: requests.Response) -> bool:
    """Whether a read-only server refused a change. This works for each API."""
    return answer.status_code == 403 and "Changes are refused" in answer.text


def log_of(emulator: Emulator) -> list[dict[str, Any]]:
    """Return the emulator's log of requests. It is read over HTTP, so that the last request is in it."""
    log: list[dict[str, Any]] = requests.get(f"{emulator.url}/_emulator/requests", timeout=5).json()
    return log
