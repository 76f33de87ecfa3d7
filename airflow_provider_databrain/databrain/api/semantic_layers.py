"""Databrain's semantic layers: what the tables and columns of a datamart mean, for questions in natural language.

A datamart has at most one semantic layer.

Facts: the vendor's API reference, pages get-, create-, update- and delete-semantic-layer, and semantic-layer-api.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, JsonValue

from airflow_provider_databrain.client.call import Endpoint, Request, Resend
from airflow_provider_databrain.client.models import Extensible, Name, Received, json_body, reader, wire
from airflow_provider_databrain.databrain.api.datamarts import LEGACY_PATH, PATH, by_name
from airflow_provider_databrain.databrain.api.endpoint import SERVICE_TOKEN, endpoint, read_id

_PATH, _LEGACY = f"{PATH}/semantic-layer", f"{LEGACY_PATH}/semantic-layer"

GET_SEMANTIC_LAYER = endpoint("get semantic layer", "GET", _PATH, SERVICE_TOKEN, legacy_path=_LEGACY)
# A datamart has at most one layer, so a second try cannot create a second one.
CREATE_SEMANTIC_LAYER = endpoint(
    "create semantic layer",
    "POST",
    _PATH,
    SERVICE_TOKEN,
    legacy_path=_LEGACY,
    resend=Resend.DETECTABLE,
)
UPDATE_SEMANTIC_LAYER = endpoint("update semantic layer", "PUT", _PATH, SERVICE_TOKEN, legacy_path=_LEGACY)
DELETE_SEMANTIC_LAYER = endpoint(
    "delete semantic layer",
    "DELETE",
    _PATH,
    SERVICE_TOKEN,
    legacy_path=_LEGACY,
    resend=Resend.DETECTABLE,
)

Synonyms = Annotated[list[Name], Field(max_length=10)]


class SemanticColumn(Extensible):
    """What a column means. ``column_type_config`` belongs to ``column_type``."""

    name: Name
    datatype: Name | None = None
    description: str | None = None
    synonyms: Synonyms | None = None
    miscellaneous_info: JsonValue = None
    column_type: Name | None = None
    column_type_config: JsonValue = None
    is_identifier: bool | None = None
    is_not_indexed: bool | None = None


class SemanticTable(Extensible):
    """What a table means."""

    name: Name
    schema_name: Name | None = None
    description: str | None = None
    synonyms: Synonyms | None = None
    miscellaneous_info: JsonValue = None
    columns: list[SemanticColumn] | None = None


class SemanticLayer(Received):
    """What the tables of a datamart mean, as the server answers it."""

    datamart_name: str | None = None
    tables: list[dict[str, JsonValue]] = Field(default_factory=list)
    feedback: JsonValue = None
    completion_score: JsonValue = None
    last_updated: JsonValue = None


class _Layer(Received):
    data: SemanticLayer


_read_layer = reader(_Layer)


def get_semantic_layer(datamart_name: str) -> Request[SemanticLayer]:
    """The semantic layer of a datamart.

    :raises ValueError: ``datamart_name`` is blank.
    :raises NotFoundError: the datamart has no semantic layer.
    """
    return Request(GET_SEMANTIC_LAYER, lambda payload: _read_layer(payload).data, query=by_name(datamart_name))


def create_semantic_layer(
    datamart_name: str, *, tables: Sequence[SemanticTable] | None = None, feedback: JsonValue = None
) -> Request[str]:
    """Create the semantic layer of a datamart. The result is the datamart's name.

    Unclear failures are tried again: a datamart has at most one layer.

    :raises ValueError: ``datamart_name`` is blank.
    """
    return _write(CREATE_SEMANTIC_LAYER, datamart_name, tables, feedback)


def update_semantic_layer(
    datamart_name: str, *, tables: Sequence[SemanticTable] | None = None, feedback: JsonValue = None
) -> Request[str]:
    """Change the semantic layer of a datamart. What is left out keeps its value. The result is the datamart's name.

    :raises ValueError: ``datamart_name`` is blank.
    :raises NotFoundError: the datamart has no semantic layer.
    """
    return _write(UPDATE_SEMANTIC_LAYER, datamart_name, tables, feedback)


def delete_semantic_layer(datamart_name: str) -> Request[str]:
    """Delete the semantic layer of a datamart. The result is the datamart's name.

    Unclear failures are tried again. So a ``NotFoundError`` with ``after_ambiguous`` may mean that an earlier try
    deleted the layer.

    :raises ValueError: ``datamart_name`` is blank.
    """
    return Request(DELETE_SEMANTIC_LAYER, read_id, query=by_name(datamart_name))


def _write(
    endpoint: Endpoint, datamart_name: str, tables: Sequence[SemanticTable] | None, feedback: JsonValue
) -> Request[str]:
    body: dict[str, Any] = dict(by_name(datamart_name))
    if tables is not None:
        body["tables"] = [wire(table) for table in tables]
    if feedback is not None:
        body["feedback"] = feedback
    return Request(endpoint, read_id, body=json_body(body))
