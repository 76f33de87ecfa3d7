"""A gateway answers in the API's place: the ledger stays true, one tenant fails, and the next run puts it right."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_databrain.conduit import operators as conduit_operators
from airflow_provider_databrain.databrain.operators import tenants as databrain_operators
from airflow_provider_databrain.posthog.operators import tenants as posthog_operators
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.gateway import Bare, Gateway
from tests.support import SPEC, make_warehouse
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import TaskInstance, change

pytestmark = pytest.mark.usefixtures("fast_retries")
NAMES = ["t0", "t1", "t2", "t3"]
TABLE: dict[str, Any] = {
    "sql_conn_id": "warehouse",
    "table": "tenants",
    "key_column": "tenant_id",
    "active_column": "active",
    "ledger_conn_id": "warehouse",
    "concurrency": 1,
}
PLAIN, HTML, JSON = "text/plain", "text/html", "application/json"
BODIES = {
    "text": (PLAIN, b"default backend - 404"),
    "html": (HTML, b"<h1>Forbidden</h1>"),
    "empty": (PLAIN, b""),
    "kong": (JSON, b'{"message": "no Route matched with those values"}'),
    "number": (JSON, b'{"error": {"code": 404, "message": "not found"}}'),
    "words": (JSON, b'{"error": {"code": "NOT_FOUND", "message": "The page could not be found"}}'),
    "spring": (JSON, b'{"status": 404, "error": "Unauthorized", "path": "/x"}'),
    "detail": (JSON, b'{"detail": "Not Found"}'),
    "problem": (JSON, b'{"type": "about:blank", "code": "not_found", "detail": "no such host"}'),
}
STATUSES = [401, 403, 404, 409, 410, 502]
BARE = pytest.mark.parametrize(
    "bare",
    [Bare(status, *BODIES["text"]) for status in STATUSES] + [Bare(404, *body) for body in BODIES.values()],
    ids=[f"{status}-text" for status in STATUSES] + [f"404-{name}" for name in BODIES],
)


class System(NamedTuple):
    """How one vendor is run, and how the requests about one embed look."""

    provision: Any
    remove: Any
    spec: dict[str, Any]
    changed: dict[str, Any]
    existing: Callable[[], set[str]]
    shown: Callable[[], list[tuple[str, str]]]
    create: str
    delete: str
    update: str
    options: dict[str, Any]
    take: Callable[[str], object]
    is_open: Callable[[str], bool] | None


class World:
    """A tenant table, its ledger and one vendor behind a gateway."""

    def __init__(self, name: str, system: System, gateway: Gateway, path: Path) -> None:
        self.name, self.system, self.gateway, self.path = name, system, gateway, path
        self._runs = 0

    def provision(self, **options: Any) -> Any:
        spec = options.pop("spec", self.system.spec)
        return self._run(self.system.provision(task_id="provision", **{**TABLE, "spec": spec, **options}))

    def remove(self, **options: Any) -> Any:
        limits = {"max_deletions": None, "max_deletion_fraction": 1, **options}
        return self._run(self.system.remove(task_id="remove", **{**TABLE, **limits, **self.system.options}))

    def empty(self, keep: Collection[str] = ()) -> None:
        """Delete the dashboards at the vendor, as a person does by hand."""
        for each in self.system.existing() - set(keep):
            self.system.take(each)

    def _run(self, task: Any) -> Any:
        self._runs += 1
        self.instance = TaskInstance(run_id=f"run-{self._runs}")
        context: Any = {"ti": self.instance}
        return task.execute(context)

    def ledger(self) -> dict[str, str]:
        """Tenant to embed id, for tenants that have a dashboard."""
        statement = "SELECT tenant, embed_id FROM tenant_dashboards WHERE spec_hash IS NOT NULL"
        return dict(read(self.path, statement))


@pytest.fixture(params=["databrain", "posthog", "conduit"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Four active tenants that are not provisioned yet."""
    path = make_warehouse(tmp_path / "warehouse.db", monkeypatch, [(name, 1) for name in NAMES], "tenant_id, active")
    if request.param == "databrain":
        databrain = request.getfixturevalue("connection")
        behind = databrain.url
        system = System(
            databrain_operators.ProvisionTenantDashboardsOperator,
            databrain_operators.RemoveTenantDashboardsOperator,
            SPEC,
            {**SPEC, "name": "New {tenant_id}"},
            lambda: {row.embed_id for row in databrain.state.embeds()},
            lambda: [(row.embed_id, row.name) for row in databrain.state.embeds()],
            r"^POST .*client-t1\b",
            r"^DELETE .*{id}",
            r"^PUT .*{id}",
            {"delete": "dashboard"},
            lambda embed_id: databrain.state.delete_embed(embed_id, dashboard=True),
            lambda embed_id: bool(databrain.state.access_settings(embed_id)["isAllowUnderlyingData"]),
        )
    elif request.param == "posthog":
        posthog = request.getfixturevalue("posthog")
        behind = posthog.url
        system = System(
            posthog_operators.ProvisionPostHogDashboardsOperator,
            posthog_operators.RemovePostHogDashboardsOperator,
            {"name": "Sales of {tenant_id}"},
            {"name": "New {tenant_id}"},
            lambda: {str(row.id) for row in posthog.posthog.dashboards()},
            lambda: [(str(row.id), row.fields["name"]) for row in posthog.posthog.dashboards()],
            r"^POST .*Sales of t1\b",
            r"^PATCH .*/dashboards/{id}/ ",
            r"^PATCH .*/dashboards/{id}/ ",
            {},
            lambda number: posthog.posthog.change_dashboard(int(number), deleted=True),
            lambda number: posthog.posthog.found(int(number))[0].shared,
        )
    else:
        conduit = request.getfixturevalue("conduit")
        behind = conduit.url
        system = System(
            conduit_operators.ProvisionConduitDashboardsOperator,
            conduit_operators.RemoveConduitWorkspacesOperator,
            {"source_dashboard": 1, "name": "Overview"},
            {},
            lambda: {str(row.id) for row in conduit.state.workspaces()},
            lambda: [
                (str(workspace.id), str(workspace.ext_id))
                for workspace in conduit.state.workspaces()
                for _ in conduit.state.dashboards(workspace.id)
            ],
            r'^POST /v2/workspaces/ .*"t1"',
            r"^DELETE /v2/workspaces/{id}/",
            "",
            {},
            lambda number: conduit.state.disable_workspace(int(number)),
            None,
        )
    with Gateway(behind) as gateway:
        variable = f"AIRFLOW_CONN_{request.param.upper()}_DEFAULT"
        fields = json.loads(os.environ[variable])
        extra = fields.get("extra") or {}
        extra = {**(json.loads(extra) if isinstance(extra, str) else extra), "max_retry_seconds": 1}
        monkeypatch.setenv(variable, json.dumps({**fields, "host": gateway.url, "extra": json.dumps(extra)}))
        yield World(request.param, system, gateway, path)


@BARE
def test_a_deletion_that_the_gateway_answers_is_not_recorded(world: World, bare: Bare) -> None:
    world.provision()
    ids = world.ledger()
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id <> 't3'")
    world.gateway.refuse(world.system.delete.format(id=ids["t1"]), bare)
    with pytest.raises(ProvisioningError, match="1 of 3 tenants failed"):
        world.remove()
    assert world.gateway.refused
    assert world.ledger() == {tenant: ids[tenant] for tenant in ("t1", "t3")}
    assert world.system.existing() == {ids["t1"], ids["t3"]}
    world.gateway.pass_all()
    world.remove()
    assert world.ledger() == {"t3": ids["t3"]}
    assert world.system.existing() == {ids["t3"]}


def test_a_deletion_whose_answer_the_gateway_replaced_once_is_done_in_the_same_run(world: World) -> None:
    world.provision()
    ids = world.ledger()
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id = 't1'")
    world.gateway.refuse(world.system.delete.format(id=ids["t1"]), Bare(404, *BODIES["text"]))
    passed: list[str] = []
    # The gateway answers once, then it is well again.
    world.gateway.refused = _Once(world.gateway, passed)
    world.remove()
    assert len(passed) == 1
    assert world.system.existing() == {ids[tenant] for tenant in ("t0", "t2", "t3")}
    assert set(world.ledger()) == {"t0", "t2", "t3"}


class _Once(list[str]):
    def __init__(self, gateway: Gateway, passed: list[str]) -> None:
        super().__init__()
        self._gateway, self._passed = gateway, passed

    def append(self, request: str) -> None:
        self._passed.append(request)
        self._gateway.pass_all()


@pytest.mark.parametrize("world", ["databrain", "posthog"], indirect=True)  # Conduit cannot change a dashboard.
@BARE
def test_an_update_that_the_gateway_answers_costs_one_tenant_and_no_id(world: World, bare: Bare) -> None:
    world.provision()
    ids = world.ledger()
    world.gateway.refuse(world.system.update.format(id=ids["t1"]), bare)
    with pytest.raises(ProvisioningError, match="1 of 4 tenants failed"):
        world.provision(spec=world.system.changed)
    assert world.ledger() == ids
    assert world.system.existing() == set(ids.values())
    world.gateway.pass_all()
    world.provision(spec=world.system.changed)
    assert world.ledger() == ids
    assert world.system.existing() == set(ids.values())


@BARE
def test_a_create_that_the_gateway_answers_costs_one_tenant(world: World, bare: Bare) -> None:
    world.gateway.refuse(world.system.create, bare)
    with pytest.raises(ProvisioningError, match="1 of 4 tenants failed"):
        world.provision()
    assert set(world.ledger()) == {"t0", "t2", "t3"}
    world.gateway.pass_all()
    world.provision()
    assert set(world.ledger()) == set(NAMES)
    assert world.system.existing() == set(world.ledger().values())


@pytest.mark.parametrize("world", ["posthog", "conduit"], indirect=True)  # Databrain's dashboards have no address.
@BARE
def test_an_address_that_the_gateway_answers_costs_one_tenant(world: World, bare: Bare) -> None:
    world.provision()
    [(dashboard,)] = read(world.path, "SELECT dashboard_id FROM tenant_dashboards WHERE tenant = 't1'")
    world.gateway.refuse(rf"^GET .*/dashboards/{dashboard}/shar", bare)
    with pytest.raises(ProvisioningError) as failed:
        world.provision(push_urls=True)
    assert [failure["tenant"] for failure in failed.value.failures] == ["t1"]
    assert set(world.instance.pushed["urls"]) == {"t0", "t2", "t3"}
    world.gateway.pass_all()
    world.provision(push_urls=True)
    assert set(world.instance.pushed["urls"]) == set(NAMES)
