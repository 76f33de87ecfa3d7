"""Which requests change workspaces and data apps, and how the answers are read."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_databrain.client.answer import interpret
from airflow_provider_databrain.client.call import Call, Request, Resend
from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api.data_apps import (
    DataApp,
    create_data_app,
    delete_data_app,
    list_data_apps,
    update_data_app,
)
from airflow_provider_databrain.databrain.api.endpoint import API_KEY, SERVICE_TOKEN
from airflow_provider_databrain.databrain.api.workspaces import (
    WorkspaceConnection,
    create_workspace,
    delete_workspace,
    update_workspace,
)

SERVER = Server("https://x.example", {API_KEY: "key", SERVICE_TOKEN: "service"})
LEGACY = Server("https://x.example", {API_KEY: "key", SERVICE_TOKEN: "service"}, legacy_paths=True)
WAREHOUSE = WorkspaceConnection(name="Sales É", connection_type="DATASOURCE", datasource_name="warehouse")


def one(call: Call[Any]) -> Request[Any]:
    """The call's only or first request."""
    return next(call) if isinstance(call, Generator) else call


def answered(call: Call[Any], payload: Any, status: int = 200) -> Any:
    """The result of a call that gets this answer."""
    return interpret(SERVER, one(call), Reply(status, {}, json.dumps(payload).encode()))


@pytest.mark.parametrize(
    ("call", "method", "path", "body"),
    [
        (
            create_workspace(WAREHOUSE),
            "POST",
            "workspace",
            {"name": "Sales É", "connectionType": "DATASOURCE", "datasourceName": "warehouse"},
        ),
        (
            update_workspace(WorkspaceConnection(name="a", connection_type="DATAMART", datamart_name="m")),
            "PUT",
            "workspace",
            {"name": "a", "connectionType": "DATAMART", "datamartName": "m"},
        ),
        (
            create_workspace(
                WorkspaceConnection(name="a", connection_type="MULTI_DATAMART", extra={"llm": "x", "others": ["y"]})
            ),
            "POST",
            "workspace",
            {"name": "a", "connectionType": "MULTI_DATAMART", "llm": "x", "others": ["y"]},
        ),
        (delete_workspace("a b&c"), "DELETE", "workspace?name=a%20b%26c", None),
        (create_data_app("Sales Data App"), "POST", "data-app", {"name": "Sales Data App"}),
        (list_data_apps(), "GET", "data-app", None),
        (list_data_apps(page=2), "GET", "data-app?isPagination=true&pageNumber=2", None),
        (list_data_apps(page="all"), "GET", "data-app?isPagination=true&pageNumber=1", None),
        (update_data_app("old", "new"), "PUT", "data-app", {"name": "old", "updateName": "new"}),
        (delete_data_app("a b"), "DELETE", "data-app?name=a%20b", None),
    ],
)
def test_a_call_is_sent_as_the_vendor_documents_it(call: Call[Any], method: str, path: str, body: Any) -> None:
    request = one(call)
    assert (request.endpoint.method, SERVER.url(request)) == (method, f"https://x.example/api/v2/{path}")
    assert LEGACY.url(request) == f"https://x.example/api/v2/{path.replace('data-app', 'dataApp')}"
    assert SERVER.authorization(request) == "Bearer service"
    assert (None if request.body is None else json.loads(request.body)) == body


@pytest.mark.parametrize(
    ("kind", "sources", "words"),
    [
        (
            "DATASOURCE",
            {},
            "datasource_name is required with connection_type DATASOURCE, and not allowed with any other",
        ),
        ("DATAMART", {"datasource_name": "d"}, "datasource_name is required with connection_type DATASOURCE"),
        ("DATAMART", {}, "datamart_name is required with connection_type DATAMART, and not allowed with any other"),
        (
            "DATASOURCE",
            {"datasource_name": "d", "datamart_name": "m"},
            "datamart_name is required with connection_type DATAMART",
        ),
        ("MULTI_DATASOURCE", {"datasource_name": "d"}, "datasource_name is required with connection_type DATASOURCE"),
        ("MULTI_DATAMART", {"datamart_name": "m"}, "datamart_name is required with connection_type DATAMART"),
        ("DATASOURCES", {}, "connection_type"),
        ("DATASOURCE", {"datasource_name": " "}, "datasource_name"),
        ("MULTI_DATAMART", {"extra": {"name": "other"}}, "extra repeats known fields: name"),
        ("MULTI_DATAMART", {"llm": "x"}, "llm"),
    ],
)
def test_an_invalid_connection_is_never_sent(kind: Any, sources: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WorkspaceConnection(name="a", connection_type=kind, **sources)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_blank_name_is_never_sent(text: str) -> None:
    for call in (delete_workspace, create_data_app, delete_data_app):
        with pytest.raises(ValueError, match="name is empty"):
            call(text)
    with pytest.raises(ValueError, match="name is empty"):
        update_data_app(text, "new")
    with pytest.raises(ValueError, match="new_name is empty"):
        update_data_app("old", text)


def test_a_result_is_the_name_with_or_without_an_error_key() -> None:
    for more in ({}, {"error": None}):
        assert answered(create_workspace(WAREHOUSE), {"data": {"name": "a"}, **more}) == "a"
        assert answered(update_workspace(WAREHOUSE), {"data": {"name": "a"}, **more}) == "a"
        assert answered(delete_workspace("a"), {"data": {"id": "a", "message": "gone"}, **more}) == "a"
        assert answered(create_data_app("a"), {"name": "a", **more}) == "a"
        assert answered(update_data_app("a", "b"), {"name": "b", **more}) == "b"
        assert answered(delete_data_app("a"), {"name": "a", **more}) == "a"


def test_data_apps_are_read_with_their_embeds_and_unknown_fields() -> None:
    row = {
        "name": "Sales",
        "type": "embedded",
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2025-01-02T00:00:00Z",
        "embedCount": 1,
        "embeds": [{"name": "Acme", "embedId": "client-acme", "createdAt": "x", "updatedAt": "y"}],
        "new": {"field": 1},
    }
    [found, bare] = answered(list_data_apps(), {"data": [row, {"name": "bare"}]})
    assert isinstance(found, DataApp)
    assert found.embeds is not None
    assert (found.name, found.embed_count, found.embeds[0].embed_id) == ("Sales", 1, "client-acme")
    assert found.as_row() == row
    assert (bare.name, bare.embeds) == ("bare", None)


@pytest.mark.parametrize("payload", [{}, {"data": "?"}, {"data": {}}, {"name": ["?"]}, [], "text", {"name": ""}])
def test_an_answer_of_another_shape_is_malformed(payload: Any) -> None:
    calls = [create_workspace(WAREHOUSE), update_workspace(WAREHOUSE), delete_workspace("a"), create_data_app("a")]
    for call in [*calls, update_data_app("a", "b"), delete_data_app("a"), list_data_apps()]:
        with pytest.raises(MalformedAnswerError):
            answered(call, payload)


def test_a_create_or_delete_under_a_known_name_is_detectable() -> None:
    resends = {
        one(call).endpoint.name: one(call).endpoint.resend
        for call in (
            create_workspace(WAREHOUSE),
            update_workspace(WAREHOUSE),
            delete_workspace("a"),
            create_data_app("a"),
            list_data_apps(),
            update_data_app("a", "b"),
            delete_data_app("a"),
        )
    }
    always = {name for name, resend in resends.items() if resend is Resend.ALWAYS}
    assert always == {"update workspace", "list data apps"}
    assert {resend for name, resend in resends.items() if name not in always} == {Resend.DETECTABLE}
