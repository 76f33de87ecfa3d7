"""A gateway, a cache or a firewall answers the list calls with a well-formed list that shows no dashboard."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.client.errors import MalformedAnswerError
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.gateway import Bare
from tests.tenants.operators.test_gateway import JSON, NAMES, World, world
from tests.tenants.operators.test_provision import change

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("fast_retries")
LISTS = r"^GET (/api/v2/data-app/embeds|/api/projects/\d+/dashboards/|/v2/workspaces/)(\?| )"
WRONG_LISTS = {
    "databrain": Bare(200, JSON, b'{"data": [], "error": null}'),
    "posthog": Bare(200, JSON, b'{"count": 0, "next": null, "previous": null, "results": []}'),
    "conduit": Bare(200, JSON, b"[]"),
}


def test_an_empty_list_removes_nothing_and_records_nothing(world: World) -> None:
    world.provision()
    ids = world.ledger()
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id <> 't3'")
    world.gateway.refuse(LISTS, WRONG_LISTS[world.name])
    with pytest.raises(MalformedAnswerError, match="shows none of the 4 dashboards that the ledger has"):
        world.remove()
    assert world.gateway.refused
    assert world.ledger() == ids
    assert world.system.existing() == set(ids.values())
    world.gateway.pass_all()
    world.remove()
    assert world.ledger() == {"t3": ids["t3"]}
    assert world.system.existing() == {ids["t3"]}


def test_an_empty_list_removes_not_even_the_only_dashboard(world: World) -> None:
    change(world.path, "DELETE FROM tenants WHERE tenant_id <> 't3'")
    world.provision()
    ids = world.ledger()
    change(world.path, "UPDATE tenants SET active = 0")
    world.gateway.refuse(LISTS, WRONG_LISTS[world.name])
    with pytest.raises(MalformedAnswerError, match="shows none of the 1 dashboards that the ledger has"):
        world.remove()
    assert world.ledger() == ids
    assert world.system.existing() == set(ids.values())


@pytest.mark.parametrize("status", ["failed", "created"])
def test_an_empty_list_makes_no_second_dashboard(world: World, status: str) -> None:
    change(world.path, "DELETE FROM tenants WHERE tenant_id = 't0'")
    world.provision()
    ids = world.ledger()
    change(world.path, "UPDATE tenant_dashboards SET status = ?", status)
    change(world.path, "INSERT INTO tenants VALUES ('t0', 1)")
    world.gateway.refuse(LISTS, WRONG_LISTS[world.name])
    if world.name == "databrain":
        # The id is ours, so the API itself refuses a second create.
        changed = status == "failed"
        if changed:
            with pytest.raises(ProvisioningError, match="3 of 4 tenants failed"):
                world.provision()
        else:
            world.provision()
    else:
        with pytest.raises(ProvisioningError, match="the list shows none of the 3 dashboards that the ledger has"):
            world.provision()
    assert ids.items() <= world.ledger().items()
    assert set(ids.values()) <= world.system.existing()
    world.gateway.pass_all()
    world.provision()
    assert world.ledger().items() >= ids.items()
    assert set(world.ledger()) == set(NAMES)
    assert world.system.existing() == set(world.ledger().values())


def test_a_dry_run_does_not_plan_from_an_empty_list(world: World) -> None:
    change(world.path, "DELETE FROM tenants WHERE tenant_id = 't0'")
    world.provision()
    change(world.path, "INSERT INTO tenants VALUES ('t0', 1)")
    world.gateway.refuse(LISTS, WRONG_LISTS[world.name])
    with pytest.raises(MalformedAnswerError, match="shows none of the 3 dashboards that the ledger has"):
        world.provision(dry_run=True)


@pytest.mark.parametrize("world", ["posthog"], indirect=True)
def test_a_list_without_the_new_dashboards_is_put_right_by_the_next_run(world: World) -> None:
    world.provision()
    existing = world.system.existing()
    # The ledger is lost, and the list shows nothing: only after the creates it is plain that the list is wrong.
    change(world.path, "DELETE FROM tenant_dashboards")
    world.gateway.refuse(LISTS, WRONG_LISTS[world.name])
    with pytest.raises(ProvisioningError, match="4 of 4 tenants failed"):
        world.provision()
    world.gateway.pass_all()
    world.provision()
    assert world.system.existing() == existing == set(world.ledger().values())


@pytest.mark.parametrize("world", ["posthog"], indirect=True)
@pytest.mark.parametrize("request_line", [r"^PATCH .*/sharing/", r"^PATCH .*/dashboards/\d+/ "])
@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 502])
def test_the_second_request_of_a_create_fails(world: World, request_line: str, status: int) -> None:
    world.gateway.refuse(request_line, Bare(status, JSON, b'{"detail": "Not Found"}'))
    if "sharing" in request_line:
        with pytest.raises(ProvisioningError, match="4 of 4 tenants failed"):
            world.provision()
    else:
        world.provision()
    existing = world.system.existing()
    assert len(existing) == 4
    world.gateway.pass_all()
    world.provision()
    assert set(world.ledger()) == set(NAMES)
    assert world.system.existing() == existing == set(world.ledger().values())


@pytest.mark.parametrize("world", ["conduit"], indirect=True)
@pytest.mark.parametrize("body", [b'{"detail": "Not Found"}', b'{"code": "x", "message": "no"}'])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_workspace_token_costs_one_tenant(world: World, status: int, body: bytes) -> None:
    world.provision()
    ids = world.ledger()
    change(world.path, "DELETE FROM tenant_dashboards WHERE tenant = 't1'")
    change(world.path, "UPDATE tenant_dashboards SET status = 'failed'")
    world.gateway.refuse(r"^GET /v2/dashboards/ ", Bare(status, JSON, body))
    with pytest.raises(ProvisioningError, match="4 of 4 tenants failed"):
        world.provision()
    assert len(world.gateway.refused) == 4
    world.gateway.pass_all()
    world.provision()
    assert world.ledger() == ids
    assert world.system.existing() == set(ids.values())
