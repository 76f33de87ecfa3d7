"""The emulated Databrain's datamarts and their semantic layers.

It is written from the vendor's reference and does not use the client's models. Our choices:

- A name that is taken, or a datamart that does not exist, is ``INVALID_REQUEST_BODY``.
- The list of datamarts shows their relationships.
- A second semantic layer replaces the first one.
- An update of a layer replaces the tables that it names. The other tables stay.
- A datamart can be deleted while a workspace uses it, because the reference documents no refusal.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState, DatamartRow
from airflow_provider_databrain.emulator.databrain.checks import check, json_object
from airflow_provider_databrain.emulator.databrain.request import page, service_token
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.refusal import RefusalError, invalid
from airflow_provider_databrain.emulator.routes import Routes

_REFUSED_LAYER = (403, "AUTHENTICATION_ERROR")
_CONTENTS = {"tableList": list, "tenancySettings": dict, "relationships": list}
_CREATE = {"name": str, "datasourceName": str, **_CONTENTS}
_UPDATE = {"datamartName": str, **_CONTENTS}
_TABLE = {"schemaName": str, "name": str, "label": str, "clientColumn": str, "isHide": bool, "columns": list}
_COLUMN = {
    "name": str,
    "alias": str,
    "label": str,
    "isHide": bool,
    "isCustomColumn": bool,
    "sql": str,
}
_TENANCY = {
    "tenancyLevel": str,
    "clientColumnType": str,
    "schemaName": str,
    "tableName": str,
    "tableClientNameColumn": str,
    "tablePrimaryKeyColumn": str,
}
_RELATIONSHIP = {
    "parentTableName": str,
    "parentColumnName": str,
    "childTableName": str,
    "childColumnName": str,
    "relationshipName": str,
    "cardinality": str,
    "join": str,
}
_LAYER = {"datamartName": str, "tables": list, "feedback": object}
_MEANING = {"name": str, "description": object, "synonyms": list, "miscellaneousInfo": object}
_LAYER_TABLE = {**_MEANING, "schemaName": str, "columns": list}
_LAYER_COLUMN = {
    **_MEANING,
    "datatype": str,
    "columnType": str,
    "columnTypeConfig": object,
    "isIdentifier": bool,
    "isNotIndexed": bool,
}


class DatamartsApi:
    """The routes of datamarts and semantic layers."""

    def __init__(self, control: Control, account: AccountState, catalog: CatalogState) -> None:
        self._control = control
        self._account = account
        self._catalog = catalog
        self.router = Routes("/api/v2")
        for prefix in ("/data-app", "/dataApp"):
            self.router.add("POST", f"{prefix}/datamarts", self.create, changes=True)
            self.router.add("PUT", f"{prefix}/datamarts", self.update, changes=True)
            self.router.add("GET", f"{prefix}/datamarts", self.list_all)
            for name in ("datamart", "datamarts"):
                self.router.add("DELETE", f"{prefix}/{name}", self.delete, changes=True)
            self.router.add("GET", f"{prefix}/datamarts/semantic-layer", self.layer)
            self.router.add("POST", f"{prefix}/datamarts/semantic-layer", self.create_layer, changes=True)
            self.router.add("PUT", f"{prefix}/datamarts/semantic-layer", self.update_layer, changes=True)
            self.router.add("DELETE", f"{prefix}/datamarts/semantic-layer", self.delete_layer, changes=True)

    async def create(self, request: Request) -> dict[str, Any]:
        """Create a datamart."""
        service_token(request, self._account)
        body = await json_object(request)
        check(body, _CREATE, ("name", "datasourceName", "tableList"))
        _check_contents(body)
        if self._catalog.datasource(name=body["datasourceName"]) is None:
            raise RefusalError(400, "DATASOURCE_NAME_ERROR", "Invalid datasource name")
        if self._catalog.datamart(body["name"]):
            raise invalid("Datamart name already exists")
        contents = {name: body[name] for name in _CONTENTS if name in body}
        self._catalog.put_datamart(body["name"], body["datasourceName"], contents)
        return {"id": body["name"], "error": None}

    async def update(self, request: Request) -> dict[str, Any]:
        """Replace the parts of a datamart that are sent. The answer has no ``error``."""
        service_token(request, self._account)
        body = await json_object(request)
        check(body, _UPDATE, ("datamartName",))
        _check_contents(body)
        row = self._named(body)
        changes = {name: body[name] for name in _CONTENTS if name in body}
        self._catalog.put_datamart(row.name, row.datasource, row.contents | changes)
        return {"id": row.name}

    async def list_all(self, request: Request) -> dict[str, Any]:
        """List datamarts with their contents."""
        service_token(request, self._account)
        rows = [_listed(row) for row in self._catalog.datamarts()]
        return page(rows, request.query_params, self._control) | {"error": None}

    async def delete(self, request: Request) -> dict[str, Any]:
        """Delete a datamart with its semantic layer."""
        service_token(request, self._account)
        row = self._named(_query(request))
        self._catalog.delete_datamart(row.name)
        return {"id": row.name, "error": None}

    async def layer(self, request: Request) -> dict[str, Any]:
        """Return a datamart's semantic layer."""
        service_token(request, self._account, _REFUSED_LAYER)
        row = self._named(_query(request))
        return {"data": {"datamartName": row.name, **_layer_of(row)}}

    async def create_layer(self, request: Request) -> dict[str, Any]:
        """Set a datamart's semantic layer."""
        row, body = await self._layer_body(request)
        layer = {"tables": body.get("tables", []), "feedback": body.get("feedback")}
        self._catalog.set_layer(row.name, layer | {"completionScore": 0, "lastUpdated": None})
        return {"id": row.name}

    async def update_layer(self, request: Request) -> dict[str, Any]:
        """Change a datamart's semantic layer."""
        row, body = await self._layer_body(request)
        layer = _layer_of(row)
        tables = {table["name"]: table for table in (*layer["tables"], *body.get("tables", []))}
        changes = {"tables": list(tables.values())} | ({"feedback": body["feedback"]} if "feedback" in body else {})
        self._catalog.set_layer(row.name, layer | changes)
        return {"id": row.name}

    async def delete_layer(self, request: Request) -> dict[str, Any]:
        """Delete a datamart's semantic layer."""
        service_token(request, self._account, _REFUSED_LAYER)
        row = self._named(_query(request))
        _layer_of(row)
        self._catalog.set_layer(row.name, None)
        return {"id": row.name}

    async def _layer_body(self, request: Request) -> tuple[DatamartRow, dict[str, Any]]:
        service_token(request, self._account, _REFUSED_LAYER)
        body = await json_object(request)
        check(body, _LAYER, ("datamartName",))
        for table in body.get("tables", []):
            check(table, _LAYER_TABLE, ("name",))
            _check_synonyms(table)
            for column in table.get("columns", []):
                check(column, _LAYER_COLUMN, ("name",))
                _check_synonyms(column)
        return self._named(body), body

    def _named(self, fields: dict[str, Any]) -> DatamartRow:
        row = self._catalog.datamart(fields["datamartName"])
        if row is None:
            raise invalid("Datamart not found")
        return row


def _query(request: Request) -> dict[str, Any]:
    query = dict(request.query_params)
    check(query, {"datamartName": str}, ("datamartName",))
    return query


def _layer_of(row: DatamartRow) -> dict[str, Any]:
    if row.layer is None:
        raise RefusalError(404, "SEMANTIC_LAYER_NOT_FOUND", "Semantic layer not found")
    return row.layer


def _check_synonyms(item: dict[str, Any]) -> None:
    if len(item.get("synonyms", [])) > 10:
        raise invalid('"synonyms" must contain less than or equal to 10 items')


def _check_contents(body: dict[str, Any]) -> None:
    if body.get("tableList") == []:
        raise invalid('"tableList" must contain at least 1 items')
    for table in body.get("tableList", []):
        _check_table(table)
    for relationship in body.get("relationships", []):
        check(relationship, _RELATIONSHIP, tuple(_RELATIONSHIP)[:4])
    tenancy = body.get("tenancySettings")
    if tenancy is not None:
        check(tenancy, _TENANCY, ("tenancyLevel",))
        if tenancy["tenancyLevel"] == "TABLE" and set(tenancy) != set(_TENANCY):
            raise RefusalError(400, "INVALID_TENANCY", "Invalid tenancy settings")


def _check_table(table: dict[str, Any]) -> None:
    check(table, _TABLE, ("name", "columns"))
    if not table["columns"]:
        raise invalid('"columns" must contain at least 1 items')
    for column in table["columns"]:
        check(column, _COLUMN, ("name",))
        if column.get("isCustomColumn") and "sql" not in column:
            raise invalid('"sql" is required')


def _listed(row: DatamartRow) -> dict[str, Any]:
    tenancy = row.contents.get("tenancySettings", {})
    tables = [
        {
            "schemaName": table.get("schemaName"),
            "tableName": table["name"],
            **{name: table[name] for name in ("label", "clientColumn", "isHide") if name in table},
            "datamartTableColumns": [_column(column) for column in table["columns"]],
        }
        for table in row.contents["tableList"]
    ]
    return {
        "name": row.name,
        "datamartOrganization": {name: tenancy.get(name) for name in _TENANCY},
        "companyIntegration": {"name": row.datasource},
        "datamartTables": tables,
        "datamartRelationships": row.contents.get("relationships", []),
    }


def _column(column: dict[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in column.items() if name not in ("name", "alias")}
    return {"columnName": column["name"], "datatype": "text", "alias": column.get("alias", column["name"]), **others}
