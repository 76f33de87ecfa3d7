"""The operators of data apps, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError, AuthenticationError, NotFoundError, ServerError
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.data_apps import (
    CreateDataAppOperator,
    DeleteDataAppOperator,
    ListDataAppsOperator,
    RenameDataAppOperator,
)
from airflow_provider_databrain.emulator.databrain.state import DATA_APP
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ODD_IDS, embed, http_answer, raw_server, set_connection

ROUTE = "/api/v2/data-app"
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])
TASKS = pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (CreateDataAppOperator, {"name": "acme"}),
        (RenameDataAppOperator, {"name": DATA_APP, "new_name": "acme"}),
        (DeleteDataAppOperator, {"name": DATA_APP}),
        (ListDataAppsOperator, {}),
    ],
)

pytestmark = pytest.mark.usefixtures("fast_retries")


def create(name: str, **changes: Any) -> str:
    return CreateDataAppOperator(task_id="t", name=name, **changes).execute({})


def rename(name: str, new_name: str, **changes: Any) -> str:
    return RenameDataAppOperator(task_id="t", name=name, new_name=new_name, **changes).execute({})


def delete(name: str) -> None:
    # The result is None, so nothing goes into XCom.
    task: Any = DeleteDataAppOperator(task_id="t", name=name)
    assert task.execute({}) is None


def names(emulator: Emulator) -> list[str]:
    return [app.name for app in emulator.account.apps()]


@pytest.mark.parametrize("name", ["acme", *ODD_IDS])
def test_a_repeated_create_or_delete_changes_nothing_more(connection: Emulator, name: str) -> None:
    for _ in range(2):
        assert create(name) == name
        assert names(connection) == [DATA_APP, name]
    for _ in range(2):
        delete(name)
        assert names(connection) == [DATA_APP]


def test_an_existing_data_app_is_left_unchanged(connection: Emulator) -> None:
    connection.account.create_app("acme")
    key = connection.account.add_key("acme", "ci")
    assert create("acme") == "acme"
    assert [row.key for row in connection.account.live_keys("acme")] == [key]


@UNCLEAR
def test_an_unclear_create_is_retried_and_creates_one_data_app(connection: Emulator, kind: Any) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    assert create("acme") == "acme"
    assert names(connection) == [DATA_APP, "acme"]
    assert connection.control.arrived["POST", ROUTE] == 2


def test_a_create_without_effect_fails_and_can_be_repeated(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="error_before", method="POST", times=1)])
    with pytest.raises(ServerError):
        create("acme", max_retry_seconds=0)
    assert names(connection) == [DATA_APP]
    assert create("acme", max_retry_seconds=0) == "acme"


@pytest.mark.parametrize("new_name", ["acme 2", *ODD_IDS])
def test_a_renamed_data_app_keeps_its_contents(connection: Emulator, new_name: str) -> None:
    connection.account.create_app("acme")
    connection.account.add_key("acme", "ci")
    connection.state.create_embed(wire(embed("acme")), dashboard_name="x", name="x", data_app="acme")
    for _ in range(2):
        assert rename("acme", new_name) == new_name
        assert names(connection) == [DATA_APP, new_name]
    assert [row.name for row in connection.account.live_keys(new_name)] == ["ci"]
    assert connection.state.data_app_of("client-acme") == new_name


@UNCLEAR
def test_an_unclear_rename_is_checked_in_the_list(connection: Emulator, kind: Any) -> None:
    connection.account.create_app("acme")
    connection.control.set_faults([Fault(kind=kind, method="PUT", times=1)])
    assert rename("acme", "acme 2") == "acme 2"
    assert names(connection) == [DATA_APP, "acme 2"]


def test_a_renamed_data_app_is_found_on_a_later_page(connection: Emulator) -> None:
    for number in range(12):
        connection.account.create_app(f"app-{number}")
    assert rename("acme", "app-11") == "app-11"
    assert len(names(connection)) == 13


@pytest.mark.parametrize(("listed", "fails"), [(["new"], False), (["old", "new"], True), (["old"], True), ([], True)])
@pytest.mark.parametrize("code", ["DATA_APP_ALREADY_EXISTS", "DATA_APP_NOT_FOUND"])
def test_a_refused_rename_succeeds_if_only_the_new_name_exists(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, code: str, listed: list[str], fails: bool
) -> None:
    """The server may check either name first, so either error code is possible."""
    refusal = http_answer(400, json.dumps({"error": {"code": code, "message": "no"}}).encode())
    there = http_answer(200, json.dumps({"data": [{"name": name} for name in listed]}).encode())
    with raw_server(refusal, there) as (url, _):
        set_connection(monkeypatch, connection, host=url)
        if not fails:
            assert rename("old", "new") == "new"
            return
        with pytest.raises((AlreadyExistsError, NotFoundError), match=code):
            rename("old", "new")


@pytest.mark.parametrize(
    ("there", "error"), [([], NotFoundError), (["Acme"], NotFoundError), (["acme", "new"], AlreadyExistsError)]
)
def test_a_rename_from_a_missing_name_or_to_a_taken_name_changes_nothing(
    connection: Emulator, there: list[str], error: type[Exception]
) -> None:
    for name in there:
        connection.account.create_app(name)
    with pytest.raises(error):
        rename("acme", "new")
    assert names(connection) == [DATA_APP, *there]


def test_a_delete_removes_embeds_and_keys_but_no_other_data_app(connection: Emulator) -> None:
    for tenant in ("acme", "other"):
        connection.account.create_app(tenant)
        connection.account.add_key(tenant, "ci")
        connection.state.create_embed(wire(embed(tenant)), dashboard_name=tenant, name=tenant, data_app=tenant)
    delete("acme")
    assert names(connection) == [DATA_APP, "other"]
    assert connection.account.live_keys("acme") == []
    assert [row.embed_id for row in connection.state.embeds()] == ["client-other"]


@UNCLEAR
def test_an_unclear_delete_is_retried(connection: Emulator, kind: Any) -> None:
    connection.account.create_app("acme")
    connection.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    delete("acme")
    assert names(connection) == [DATA_APP]
    assert connection.control.arrived["DELETE", ROUTE] == 2


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<pre>Cannot DELETE /api/v2/data-app</pre>", "text/html"), (b"{}", "application/json"), (b"", "text/plain")],
)
def test_a_wrong_url_is_not_taken_for_a_deleted_data_app(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, body: bytes, content_type: str
) -> None:
    with raw_server(http_answer(404, body, content_type)) as (url, _):
        set_connection(monkeypatch, connection, host=url)
        with pytest.raises(NotFoundError):
            delete("acme")


def test_all_pages_of_data_apps_are_listed_with_their_embeds(connection: Emulator, tmp_path: Path) -> None:
    for number in range(12):
        connection.account.create_app(f"app-{number}")
    connection.state.create_embed(wire(embed("acme")), dashboard_name="x", name="Acme", data_app="app-11")
    rows: Any = ListDataAppsOperator(task_id="t").execute({})
    assert [row["name"] for row in rows] == names(connection)
    assert [row["embedCount"] for row in rows] == [0] * 12 + [1]
    assert rows[-1]["embeds"][0]["embedId"] == "client-acme"
    path = tmp_path / "rows.json"
    shown = ListDataAppsOperator(task_id="t", output_path=str(path)).execute({})
    assert shown == {"path": str(path), "rows": 13}
    assert json.loads(path.read_text()) == rows


def test_a_list_that_is_too_large_for_xcom_raises(connection: Emulator) -> None:
    with pytest.raises(ValueError, match="set output_path, or raise max_xcom_bytes"):
        ListDataAppsOperator(task_id="t", max_xcom_bytes=10).execute({})


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_name_raises_and_is_not_sent(connection: Emulator, blank: str) -> None:
    for act in (create, delete, lambda name: rename(name, "new")):
        with pytest.raises(ValueError, match=r"^name is empty"):
            act(blank)
    with pytest.raises(ValueError, match="new_name is empty"):
        rename(DATA_APP, blank)
    assert not connection.control.arrived


@TASKS
def test_the_data_app_key_is_refused(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": connection.api_key})
    with pytest.raises(AuthenticationError, match="It needs the service token: check Service token"):
        task(task_id="t", **arguments).execute({})
    assert names(connection) == [DATA_APP]


@TASKS
def test_a_missing_service_token_is_named_in_the_error(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch, task: Any, arguments: dict[str, Any]
) -> None:
    set_connection(monkeypatch, connection, extra={"service_token": None})
    with pytest.raises(ConfigurationError, match=r"has no service token, .*extra 'service_token'"):
        task(task_id="t", **arguments).execute({})
    assert not connection.control.arrived
