"""The operators of embeds, over HTTP against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import ApiError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.databrain.operators.embeds import (
    DeleteEmbedOperator,
    EmbedOperator,
    ExportEmbedOperator,
    ListEmbedsOperator,
    UpdateEmbedOperator,
)
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.support import ACCESS, WORKSPACE, embed, http_answer, raw_server, set_connection

MART = ACCESS["datamart_name"]
UNCLEAR = pytest.mark.parametrize("kind", ["error_after", "reset_after", "html", "cut"])


@pytest.fixture
def account(connection: Emulator, fast_retries: None) -> Emulator:
    """An emulator with the datamart of the access settings, and a metric on the first template."""
    connection.catalog.put_datamart(MART, "warehouse", {"tableList": []})
    connection.state.contents.add_metric("template-basic", "mrr", name="MRR")
    return connection


@pytest.fixture
def acme(account: Emulator) -> Emulator:
    """An emulator with the embed of one client."""
    account.state.create_embed(wire(embed("acme")), dashboard_name="x", name="Acme")
    return account


def make(**changes: Any) -> str:
    arguments = {"dashboard_id": "template-basic", "access_settings": ACCESS, **changes}
    return EmbedOperator(task_id="t", **arguments).execute({})


def methods(emulator: Emulator) -> list[str]:
    return [one.method for one in emulator.control.log]


def test_a_dashboard_is_embedded_once(account: Emulator) -> None:
    embed_id = make(name="Basic")
    assert make(name="Basic") == embed_id
    [row] = account.state.embeds()
    assert (row.embed_id, row.dashboard_id, row.embed_type, row.name) == (
        embed_id,
        "template-basic",
        "dashboard",
        "Basic",
    )
    assert make(name="Another") != embed_id


@pytest.mark.parametrize("access", [None, ACCESS])
def test_a_metric_and_its_dashboard_have_separate_embeds(account: Emulator, access: Any) -> None:
    whole = make()
    embed_id = make(metric_id="mrr", access_settings=access)
    assert embed_id != whole
    assert make(metric_id="mrr", access_settings=access) == embed_id
    assert [row.metric_id for row in account.state.embeds()] == [None, "mrr"]


@UNCLEAR
def test_an_unclear_create_is_checked_in_the_list_and_not_repeated(account: Emulator, kind: Any) -> None:
    account.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    assert [make()] == [row.embed_id for row in account.state.embeds()]
    assert methods(account) == ["GET", "POST", "GET"]


def test_the_next_try_finds_the_embed_of_an_unclear_try(account: Emulator) -> None:
    account.control.set_faults([Fault(kind="reset_after", method="POST"), Fault(kind="reset_before", every=3)])
    with pytest.raises(ApiError):
        make(max_retry_seconds=0)
    assert account.state.count_embeds() == 1
    account.control.set_faults([])
    assert [make()] == [row.embed_id for row in account.state.embeds()]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dashboard_id": "never"}, NotFoundError),
        ({"metric_id": "never"}, NotFoundError),
        ({"workspace_name": "never"}, NotFoundError),
        ({"access_settings": {**ACCESS, "datamart_name": "never"}}, InvalidRequestError),
        ({"access_settings": None}, ValueError),
        ({"access_settings": {"is_allow_everything": True}}, ValueError),
    ],
)
def test_a_wrong_embed_raises_and_is_not_created(
    account: Emulator, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        make(**changes)
    assert account.state.count_embeds() == 0


def test_an_embeds_settings_and_name_are_updated(acme: Emulator) -> None:
    shown = UpdateEmbedOperator(
        task_id="t", embed_id="client-acme", access_settings={"is_allow_email_reports": True}, name="New"
    ).execute({})
    assert shown == "client-acme"
    [row] = acme.state.embeds()
    assert (row.name, row.dashboard_name) == ("New", "x")
    assert acme.state.access_settings("client-acme") == {
        **wire(embed("acme"))["accessSettings"],
        "isAllowEmailReports": True,
    }


@pytest.mark.parametrize(
    ("arguments", "requests"),
    [
        ({"name": "New", "is_rename_dashboard": True}, 1),
        ({"access_settings": {"metric_creation_mode": "CHAT"}, "name": ""}, 1),
        ({"access_settings": {}, "name": "New"}, 1),
    ],
)
def test_only_the_set_fields_are_updated(acme: Emulator, arguments: dict[str, Any], requests: int) -> None:
    UpdateEmbedOperator(task_id="t", embed_id="client-acme", **arguments).execute({})
    assert len(acme.control.log) == requests
    [row] = acme.state.embeds()
    assert row.dashboard_name == ("New" if "is_rename_dashboard" in arguments else "x")


def test_an_update_without_fields_is_refused(acme: Emulator) -> None:
    with pytest.raises(ValueError, match="set access_settings, name, or both"):
        UpdateEmbedOperator(task_id="t", embed_id="client-acme", name="").execute({})
    assert not acme.control.log


@pytest.mark.parametrize("arguments", [{"name": "New"}, {"access_settings": {"is_allow_email_reports": True}}])
def test_an_update_of_a_missing_embed_fails(acme: Emulator, arguments: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError):
        UpdateEmbedOperator(task_id="t", embed_id="never", **arguments).execute({})


@UNCLEAR
def test_an_unclear_update_is_retried(acme: Emulator, kind: Any) -> None:
    acme.control.set_faults([Fault(kind=kind, method="PUT", times=1)])
    UpdateEmbedOperator(task_id="t", embed_id="client-acme", name="New").execute({})
    assert methods(acme) == ["PUT", "PUT"]


@pytest.mark.parametrize("with_dashboard", [False, True])
def test_an_embed_is_deleted_and_a_second_delete_succeeds(acme: Emulator, with_dashboard: bool) -> None:
    for _ in range(2):
        DeleteEmbedOperator(task_id="t", embed_id="client-acme", is_delete_dashboard=with_dashboard).execute({})
    assert acme.state.count_embeds() == 0
    assert acme.state.dashboard_exists("client-acme") is not with_dashboard


def test_a_wrong_url_is_not_taken_for_a_deleted_embed(acme: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(http_answer(404, b"<h1>Not Found</h1>", "text/html")) as (url, _):
        set_connection(monkeypatch, acme, host=url)
        with pytest.raises(NotFoundError, match="the answer is not JSON"):
            DeleteEmbedOperator(task_id="t", embed_id="client-acme").execute({})


@UNCLEAR
def test_an_unclear_delete_is_retried(acme: Emulator, kind: Any) -> None:
    acme.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    DeleteEmbedOperator(task_id="t", embed_id="client-acme").execute({})
    assert methods(acme) == ["DELETE", "DELETE"]


@pytest.mark.parametrize(("client", "count"), [(None, 12), ("", 12), ("acme", 1), ("nobody", 0)])
def test_embeds_are_listed_with_the_apis_field_names(acme: Emulator, client: str | None, count: int) -> None:
    for number in range(11):
        acme.state.create_embed(wire(embed(f"c-{number}")), dashboard_name="x", name="x")
    rows: Any = ListEmbedsOperator(task_id="t", client_id=client).execute({})
    assert len(rows) == count
    assert not rows or rows[0]["embedId"] == "client-acme"
    json.dumps(rows)


def test_an_export_is_written_to_a_file(acme: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    embed_id = make()
    assert ExportEmbedOperator(task_id="t", embed_id=embed_id, output_path=str(path)).execute({}) == str(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["_meta"]["embedId"] == embed_id
    assert document["data"] == acme.state.contents.document("template-basic")


def test_an_export_of_a_missing_embed_writes_nothing(acme: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    with pytest.raises(ApiError):
        ExportEmbedOperator(task_id="t", embed_id="never", output_path=str(path)).execute({})
    assert not path.exists()


def test_templates_are_rendered(acme: Emulator, tmp_path: Path) -> None:
    context: Any = {"tenant": "acme", "mart": MART, "w": WORKSPACE, "where": str(tmp_path), "board": "template-basic"}
    tasks: list[Any] = [
        EmbedOperator(
            task_id="embed",
            dashboard_id="{{ board }}",
            metric_id="{{ 'mrr' }}",
            workspace_name="{{ w }}",
            access_settings={**ACCESS, "datamart_name": "{{ mart }}"},
            name="{{ tenant | title }}",
        ),
        UpdateEmbedOperator(task_id="update", embed_id="client-{{ tenant }}", name="{{ tenant | upper }}"),
        ListEmbedsOperator(task_id="list", client_id="{{ tenant }}", output_path="{{ where }}/{{ tenant }}.json"),
        ExportEmbedOperator(
            task_id="export", embed_id="client-{{ tenant }}", output_path="{{ where }}/{{ tenant }}-out.json"
        ),
        DeleteEmbedOperator(task_id="delete", embed_id="client-{{ tenant }}"),
    ]
    shown = []
    for task in tasks:
        task.render_template_fields(context)
        shown.append(task.execute(context))
    [row] = acme.state.embeds()
    assert (row.name, row.metric_id) == ("Acme", "mrr")
    path = tmp_path / "acme.json"
    assert shown == [row.embed_id, "client-acme", {"path": str(path), "rows": 1}, str(tmp_path / "acme-out.json"), None]
    assert json.loads(path.read_text())[0]["name"] == "ACME"
