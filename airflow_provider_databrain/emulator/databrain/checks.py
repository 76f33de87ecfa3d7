"""The checks of requests to the emulated Databrain, and their refusals.

They are written from the vendor's reference. Where it is silent, the choice is ours: an unknown field is refused, and
an update without access settings is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.refusal import RefusalError, invalid

_ACCESS = {
    "datamartName": str,
    "isAllowEmailReports": bool,
    "isAllowManageMetrics": bool,
    "isAllowMetricCreation": bool,
    "isAllowMetricDeletion": bool,
    "isAllowMetricLayoutChange": bool,
    "isAllowMetricUpdate": bool,
    "isAllowUnderlyingData": bool,
    "isAllowCreateDashboardView": bool,
    "metricCreationMode": str,
    "isAllowAiPilot": bool,
    "joinModel": str,
    "isIncrementalJoin": bool,
    "tableTenancySettings": list,
}
_ACCESS_REQUIRED = tuple(_ACCESS)[:10]
_CREATE = {
    "dashboardId": str,
    "workspaceName": str,
    "clientId": str,
    "accessSettings": dict,
    "templateDashboardId": str,
    "metadata": dict,
    "isAllowPrivateMetricsByDefault": bool,
    "name": str,
    "embedDescription": str,
    "isImportMetrics": bool,
    "importDashboardData": dict,
    "isRenameDashboard": bool,
    "metricImportMode": str,
    "schemaPairs": list,
}
_CREATE_REQUIRED = ("dashboardId", "workspaceName", "clientId", "accessSettings")
_EMBED = {
    "dashboardId": str,
    "embedType": str,
    "metricId": str,
    "workspaceName": str,
    "name": str,
    "accessSettings": dict,
}
_UPDATE = {"embedId": str, "accessSettings": dict}
_RENAME = {"embedId": str, "name": str, "isRenameDashboard": bool}
_DELETE = {"embedId": str, "isDeleteDashboard": str}
_LIST = {"workspaceName": str, "isPagination": bool, "pageNumber": int}
_CHOICES = {
    "embedType": ("dashboard", "metric"),
    "isMetric": ("true", "false"),
    "tenancyLevel": ("TABLE", "DATABASE"),
    "clientColumnType": ("NUMBER", "STRING"),
    "cardinality": ("ManyToMany", "ManyToOne", "OneToMany", "OneToOne"),
    "metricImportMode": ("GALLERY", "METRIC"),
    "metricCreationMode": ("DRAG_DROP", "CHAT"),
    "joinModel": ("single", "multi"),
    "isDeleteDashboard": ("true", "false"),
    "connectionType": ("DATASOURCE", "DATAMART", "MULTI_DATASOURCE", "MULTI_DATAMART"),
}
_WORDS = {str: "a string", dict: "of type object", bool: "a boolean", list: "an array", int: "a number"}


async def create_body(request: Request, max_id_length: int) -> dict[str, Any]:
    """Return the checked body of a create, which is sent as JSON or as a form.

    :param max_id_length: maximum length of an id, in characters.
    """
    kind = request.headers.get("content-type", "").split(";")[0]
    body = await (_form if kind == "multipart/form-data" else json_object)(request)
    check(body, _CREATE, _CREATE_REQUIRED)
    for name in ("dashboardId", "clientId", "workspaceName"):
        if len(body[name]) > max_id_length:
            raise invalid(f'"{name}" length must be less than or equal to {max_id_length} characters long')
    _check_access(body["accessSettings"], _ACCESS_REQUIRED)
    return body


async def embed_body(request: Request) -> dict[str, Any]:
    """Return the checked body that embeds an existing dashboard or metric.

    For a metric, ``accessSettings`` may be missing or partial.
    """
    body = await json_object(request)
    check(body, _EMBED, ("dashboardId", "embedType", "workspaceName"))
    of_metric = body["embedType"] == "metric"
    missing = "metricId" if of_metric else "accessSettings"
    if missing not in body:
        raise invalid(f'"{missing}" is required')
    _check_access(body.get("accessSettings", {}), () if of_metric else _ACCESS_REQUIRED)
    return body


async def update_body(request: Request) -> dict[str, Any]:
    """Return the checked body of an update. Its access settings may be partial."""
    body = await json_object(request)
    check(body, _UPDATE, tuple(_UPDATE))
    _check_access(body["accessSettings"], ())
    return body


async def rename_body(request: Request) -> dict[str, Any]:
    """Return the checked body of a rename."""
    body = await json_object(request)
    check(body, _RENAME, ("embedId", "name"))
    return body


def delete_query(request: Request) -> dict[str, str]:
    """Return the checked query of a delete."""
    query = dict(request.query_params)
    check(query, _DELETE, ("embedId",))
    return query


async def list_body(request: Request) -> dict[str, Any]:
    """Return the checked body of a list of a workspace's metrics or dashboards."""
    body = await json_object(request)
    check(body, _LIST, ("workspaceName",))
    return body


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body of a request, which must be a JSON object."""
    body = _parsed(await request.body())
    if not isinstance(body, dict):
        raise invalid("Request body validation failed")
    return body


async def _form(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {}
    async with request.form() as form:
        for name, value in form.items():
            if isinstance(value, str):
                body[name] = _parsed(value) if _CREATE.get(name, str) is not str else value
                continue
            document = _parsed(await value.read())
            if name != "importDashboardDataFile" or value.content_type != "application/json":
                raise invalid(f'"{name}" is not allowed')
            if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
                raise RefusalError(400, "INVALID_DASHBOARD_DATA", "Uploaded JSON missing data")
            body["_file"] = document["data"]
    # If both are sent, the file is used.
    if "_file" in body:
        body["importDashboardData"] = body.pop("_file")
    return body


def _parsed(raw: bytes | str) -> Any:
    try:
        return json.loads(raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw)
    except ValueError:
        raise invalid("Request body validation failed") from None


def _check_access(settings: dict[str, Any], required: tuple[str, ...]) -> None:
    check(settings, _ACCESS, required)
    for item in settings.get("tableTenancySettings", []):
        check(item, {"name": str, "clientColumn": str}, ("name", "clientColumn"))


def check(body: object, fields: Mapping[str, type], required: tuple[str, ...]) -> None:
    """Refuse a body that is not an object, lacks a required field, or has an unknown field or a wrong type."""
    if not isinstance(body, dict):
        raise invalid('"value" must be of type object')
    for name in required:
        if name not in body:
            raise invalid(f'"{name}" is required')
    for name, value in body.items():
        kind = fields.get(name)
        if kind is None:
            raise invalid(f'"{name}" is not allowed')
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise invalid(f'"{name}" must be {_WORDS[kind]}')
        if kind is str and not value:
            raise invalid(f'"{name}" is not allowed to be empty')
        if name in _CHOICES and value not in _CHOICES[name]:
            raise invalid(f'"{name}" must be one of [{", ".join(_CHOICES[name])}]')
