"""The operator that creates one client's dashboard, over HTTP against the emulator."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    TransportError,
)
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.databrain.operators.client_dashboards import CreateDashboardEmbedOperator
from airflow_provider_databrain.databrain.ownership import STAMP
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.client import ACCESS as SENT_ACCESS
from tests.exposure import Exposed
from tests.support import ACCESS, ODD_IDS, WORKSPACE, embed, set_connection

ACME: dict[str, Any] = {"dashboard_id": "client-acme", "client_id": "acme", "access_settings": ACCESS}


class Store:
    """The task state store of Airflow 3.3, which keeps values between the tries of a task."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, **_options: Any) -> None:
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


def operator(**changes: Any) -> CreateDashboardEmbedOperator:
    return CreateDashboardEmbedOperator(task_id="t", **{**ACME, **changes})


def run(context: Any = None, **changes: Any) -> str:
    task = operator(**changes)
    return task.execute({} if context is None else context)


def put(emulator: Emulator, owner: str, title: str | None = None) -> None:
    """Create the dashboard ``client-acme`` for ``owner``."""
    title = title or f"client-acme_{owner}"
    emulator.state.create_embed(wire(embed(client_id=owner)), dashboard_name=title, name="x")


def test_a_dashboard_is_created_and_its_embed_id_returned(connection: Emulator) -> None:
    assert run() == "client-acme"
    assert connection.state.created_with("client-acme") == {
        "dashboardId": "client-acme",
        "clientId": "acme",
        "workspaceName": WORKSPACE,
        "accessSettings": SENT_ACCESS,
        "metadata": {STAMP: "acme"},
    }
    assert Counter(logged.method for logged in connection.control.log) == {"POST": 1}


def test_every_field_reaches_the_server(connection: Emulator) -> None:
    connection.state.add_workspace("other", dashboards=["template"])
    run(
        workspace_name="other",
        template_dashboard_id="template",
        metadata={"region": "EU"},
        is_allow_private_metrics_by_default=True,
        name="Acme",
        embed_description="for Acme",
        is_import_metrics=False,
        import_dashboard_data={"metrics": []},
        is_rename_dashboard=True,
        metric_import_mode="GALLERY",
        schema_pairs=[{"replace_schema": "a", "target_schema": "b"}],
        access_settings={
            **ACCESS,
            "is_allow_ai_pilot": True,
            "join_model": "multi",
            "is_incremental_join": False,
            "table_tenancy_settings": [{"name": "sales", "client_column": "customer_id"}],
        },
    )
    assert connection.state.created_with("client-acme") == {
        "dashboardId": "client-acme",
        "clientId": "acme",
        "workspaceName": "other",
        "templateDashboardId": "template",
        "metadata": {"region": "EU", STAMP: "acme"},
        "isAllowPrivateMetricsByDefault": True,
        "name": "Acme",
        "embedDescription": "for Acme",
        "isImportMetrics": False,
        "importDashboardData": {"metrics": []},
        "isRenameDashboard": True,
        "metricImportMode": "GALLERY",
        "schemaPairs": [{"replaceSchema": "a", "targetSchema": "b"}],
        "accessSettings": SENT_ACCESS
        | {
            "isAllowAiPilot": True,
            "joinModel": "multi",
            "isIncrementalJoin": False,
            "tableTenancySettings": [{"name": "sales", "clientColumn": "customer_id"}],
        },
    }


def test_templates_are_rendered_and_strings_are_accepted_as_booleans(connection: Emulator) -> None:
    task = operator(
        dashboard_id="client-{{ params.tenant }}",
        client_id="{{ params.tenant }}",
        workspace_name="{{ params.workspace }}",
        access_settings={**ACCESS, "datamart_name": "{{ params.tenant }}-mart", "is_allow_email_reports": "{{ yes }}"},
        metadata={"list": ["{{ params.tenant }}"]},
        is_import_metrics="{{ yes }}",
        template_dashboard_id="template-{{ 'pro' }}",
        if_exists="{{ 'fail' }}",
        databrain_conn_id="databrain_{{ 'default' }}",
    )
    context: Any = {"params": {"tenant": "globex", "workspace": WORKSPACE}, "yes": "true"}
    task.render_template_fields(context)
    assert task.execute(context) == "client-globex"
    sent = connection.state.created_with("client-globex")
    assert sent["accessSettings"] == SENT_ACCESS | {"datamartName": "globex-mart", "isAllowEmailReports": True}
    assert (sent["clientId"], sent["isImportMetrics"], sent["templateDashboardId"]) == ("globex", True, "template-pro")
    assert sent["metadata"] == {"list": ["globex"], STAMP: "globex"}
    assert task.if_exists == "fail"


def test_no_argument_is_checked_before_the_task_runs() -> None:
    task = operator(
        client_id="{{ x }}", metric_import_mode="{{ y }}", access_settings={"{{ z }}": 1}, if_exists="{{ w }}"
    )
    assert task.client_id == "{{ x }}"


@pytest.mark.parametrize("stamp", [True, False])
def test_a_second_run_adopts_the_dashboard_and_creates_nothing(connection: Emulator, stamp: bool) -> None:
    assert run(stamp=stamp) == run(stamp=stamp) == "client-acme"
    assert connection.state.count_embeds() == 1
    assert ("metadata" in connection.state.created_with("client-acme")) is stamp


def test_a_dashboard_of_another_client_raises_an_error_that_names_both_clients(connection: Emulator) -> None:
    put(connection, "globex")
    with pytest.raises(AlreadyExistsError, match="belongs to client 'globex', not to 'acme'"):
        run()
    assert [row.client_id for row in connection.state.embeds()] == ["globex"]


def test_a_renamed_dashboard_without_stamp_is_not_adopted(connection: Emulator) -> None:
    put(connection, "acme", title="Sales")
    with pytest.raises(AlreadyExistsError, match="nothing proves that it belongs to 'acme'"):
        run()


def test_if_exists_fail_refuses_even_the_clients_own_dashboard(connection: Emulator) -> None:
    run()
    with pytest.raises(AlreadyExistsError, match="exists already and if_exists is 'fail'"):
        run(if_exists="fail")


def test_an_unknown_if_exists_is_refused(connection: Emulator) -> None:
    with pytest.raises(ValueError, match="if_exists is 'maybe'"):
        run(if_exists="maybe")
    assert not connection.control.log


@pytest.mark.parametrize("if_exists", ["adopt", "fail"])
@pytest.mark.parametrize("kind", ["reset_after", "error_after", "html", "cut", "wrong"])
@pytest.mark.usefixtures("fast_retries")
def test_a_dashboard_whose_answer_was_lost_is_no_conflict(connection: Emulator, kind: Any, if_exists: str) -> None:
    connection.control.set_faults([Fault(kind=kind, method="POST", times=1)])
    assert run(if_exists=if_exists) == "client-acme"
    assert connection.state.count_embeds() == 1


def test_with_a_note_a_retry_after_a_killed_worker_recognizes_its_dashboard(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    context = {"task_state_store": Store()}
    with pytest.raises(TransportError):
        run(context, if_exists="fail", max_retry_seconds=0)
    assert connection.state.count_embeds() == 1
    assert run(context, if_exists="fail", max_retry_seconds=0) == "client-acme"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_note_stays_if_a_later_try_fails_without_doubt(connection: Emulator, method: str) -> None:
    connection.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    context = {"task_state_store": Store()}
    with pytest.raises(TransportError):
        run(context, if_exists="fail", max_retry_seconds=0)
    # The second try certainly creates nothing. It says nothing about the first one.
    connection.control.set_faults([Fault(kind="too_many", method=method, times=1)])
    with pytest.raises(RateLimitedError):
        run(context, if_exists="fail", max_retry_seconds=0)
    assert run(context, if_exists="fail", max_retry_seconds=0) == "client-acme"


def test_a_note_stays_if_an_earlier_try_of_the_same_call_may_have_created(connection: Emulator) -> None:
    lost, limited = Fault(kind="reset_after", times=1), Fault(kind="too_many", times=1, seconds=1000)
    connection.control.set_faults([lost, limited])
    context = {"task_state_store": Store()}
    with pytest.raises(RateLimitedError):
        run(context, if_exists="fail", max_retry_seconds=60)
    assert connection.state.count_embeds() == 1
    assert run(context, if_exists="fail") == "client-acme"


def test_without_a_note_a_retry_after_a_killed_worker_is_a_conflict_unless_it_adopts(connection: Emulator) -> None:
    connection.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    with pytest.raises(TransportError):
        run(if_exists="fail", max_retry_seconds=0)
    with pytest.raises(AlreadyExistsError, match="if_exists is 'fail'"):
        run(if_exists="fail", max_retry_seconds=0)
    assert run(if_exists="adopt") == "client-acme"


@pytest.mark.parametrize("context", [{}, {"task_state_store": Store()}], ids=["Airflow before 3.3", "Airflow 3.3"])
def test_the_log_says_whether_airflow_has_a_place_for_the_note(
    connection: Emulator, exposed: Exposed, context: dict[str, Any]
) -> None:
    run(context)
    said = [record for record in exposed.records if "has no task state store" in record.getMessage()]
    assert len(said) == (not context)


def test_a_note_for_another_client_is_no_proof(connection: Emulator) -> None:
    context = {"task_state_store": Store()}
    run(context, dashboard_id="client-globex", client_id="globex")
    put(connection, "acme")
    with pytest.raises(AlreadyExistsError, match="if_exists is 'fail'"):
        run(context, if_exists="fail")


def test_a_retry_after_a_plain_conflict_is_a_conflict_again(connection: Emulator) -> None:
    put(connection, "acme")
    context = {"task_state_store": Store()}
    for _ in range(2):
        with pytest.raises(AlreadyExistsError, match="if_exists is 'fail'"):
            run(context, if_exists="fail")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"workspace_name": "nowhere"}, NotFoundError, "Invalid workspace name"),
        ({"template_dashboard_id": "nothing"}, NotFoundError, "Invalid template dashboard id"),
        ({"dashboard_id": "d" * 256}, InvalidRequestError, "length must be less than or equal to 255"),
        ({"extra": {"brandNew": 1}}, InvalidRequestError, '"brandNew" is not allowed'),
        ({"access_settings": {**ACCESS, "extra": {"odd": 1}}}, InvalidRequestError, '"odd" is not allowed'),
    ],
)
def test_the_servers_refusal_is_raised_with_the_tenant(
    connection: Emulator, changes: dict[str, Any], error: type[ApiError], words: str
) -> None:
    with pytest.raises(error, match="create dashboard embed for tenant 'acme'.*" + words):
        run(**changes)
    assert connection.state.count_embeds() == 0
    assert len(connection.control.log) == 1


def test_a_wrong_key_fails_at_once_and_is_not_shown(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, password="wrong-s3cret")
    with pytest.raises(
        AuthenticationError, match="It needs the data app API key: check Password in the Airflow connection"
    ) as caught:
        run()
    assert "wrong-s3cret" not in str(caught.value)
    assert len(connection.control.log) == 1


def test_a_missing_key_is_named_in_the_error(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, connection, password=None)
    with pytest.raises(ConfigurationError, match=r"'databrain_default' has no data app API key.*fill Password"):
        run()


def test_a_missing_workspace_name_raises_and_sends_nothing(
    connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(monkeypatch, connection, extra={"workspace_name": None})
    with pytest.raises(ValueError, match=r"tenant 'acme': (workspaceName|workspace_name): Field required"):
        run()
    assert not connection.control.log


@pytest.mark.parametrize("tenant", ODD_IDS)
def test_ids_are_sent_unchanged(connection: Emulator, tenant: str) -> None:
    ids = {"dashboard_id": f"{tenant}/of {tenant}", "client_id": tenant}
    assert run(**ids) == run(**ids) == f"{tenant}/of {tenant}"
    assert [(row.client_id, row.dashboard_id) for row in connection.state.embeds()] == [
        (tenant, f"{tenant}/of {tenant}")
    ]


def test_an_export_file_is_uploaded(connection: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"data": {"title": "日本"}}), encoding="utf-8")
    assert run(import_dashboard_data_file=str(file), import_dashboard_data={"not": "this"}) == "client-acme"
    sent = connection.state.created_with("client-acme")
    assert sent["importDashboardData"] == {"title": "日本"}
    assert sent["accessSettings"] == SENT_ACCESS


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"data": []}'])
def test_a_file_that_is_not_an_export_is_refused_before_sending(
    connection: Emulator, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "export.json"
    file.write_text(content)
    with pytest.raises(ValueError, match="import_dashboard_data_file is not a dashboard export"):
        run(import_dashboard_data_file=str(file))
    assert not connection.control.log


def test_a_missing_file_is_named_in_the_error(connection: Emulator, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        run(import_dashboard_data_file=str(tmp_path / "gone.json"))
    assert not connection.control.log


def test_a_task_that_could_not_send_leaves_no_note(connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    set_connection(monkeypatch, connection, password=None)
    with pytest.raises(ConfigurationError):
        run({"task_state_store": store}, if_exists="fail")
    assert store.values == {}
