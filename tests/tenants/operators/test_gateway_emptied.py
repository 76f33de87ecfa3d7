"""An account was emptied by hand, so the list shows none of the ledger's dashboards, and it is right."""

from __future__ import annotations

import pytest

from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError
from airflow_provider_databrain.tenants.engine import belief
from airflow_provider_databrain.tenants.engine.report import ProvisioningError
from tests.gateway import Bare
from tests.tenants.operators.test_gateway import HTML, NAMES, PLAIN, World, world
from tests.tenants.operators.test_gateway_lists import LISTS, WRONG_LISTS
from tests.tenants.operators.test_ledger_runs import read
from tests.tenants.operators.test_provision import change

__all__ = ["world"]
pytestmark = pytest.mark.usefixtures("fast_retries")
POSTHOG = pytest.mark.parametrize("world", ["posthog"], indirect=True)
OTHERS = pytest.mark.parametrize("world", ["databrain", "conduit"], indirect=True)
ONE = r"^GET /api/projects/\d+/dashboards/\d+/ "


def provision_and_empty(world: World) -> dict[str, str]:
    world.provision()
    ids = world.ledger()
    world.empty()
    assert world.system.existing() == set()
    return ids


def check_rebuilt(world: World, old: dict[str, str]) -> None:
    assert set(world.ledger()) == set(NAMES)
    assert not set(world.ledger().values()) & set(old.values())
    assert world.system.existing() == set(world.ledger().values())


@POSTHOG
def test_failed_tenants_of_an_emptied_project_are_built_again_in_one_run(world: World) -> None:
    old = provision_and_empty(world)
    change(world.path, "UPDATE tenant_dashboards SET status = 'failed'")
    world.provision()
    check_rebuilt(world, old)


@pytest.mark.parametrize("world", ["databrain"], indirect=True)
def test_failed_tenants_of_an_emptied_data_app_are_built_again_in_one_run(world: World) -> None:
    provision_and_empty(world)
    change(world.path, "UPDATE tenant_dashboards SET status = 'failed'")
    world.provision()
    assert set(world.ledger()) == set(NAMES)
    assert world.system.existing() == set(world.ledger().values())


@POSTHOG
def test_changed_tenants_of_an_emptied_project_are_built_again_in_one_run(world: World) -> None:
    old = provision_and_empty(world)
    world.provision(spec=world.system.changed)
    check_rebuilt(world, old)


@POSTHOG
def test_a_new_tenant_of_an_emptied_project_gets_its_dashboard(world: World) -> None:
    change(world.path, "DELETE FROM tenants WHERE tenant_id = 't0'")
    provision_and_empty(world)
    change(world.path, "INSERT INTO tenants VALUES ('t0', 1)")
    planned = world.provision(dry_run=True)
    assert world.system.existing() == set()
    world.provision()
    assert world.system.existing() == {world.ledger()["t0"]}
    assert planned is not None


@POSTHOG
def test_the_dashboards_of_an_emptied_project_are_recorded_as_deleted(world: World) -> None:
    provision_and_empty(world)
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id <> 't3'")
    world.remove()
    assert set(world.ledger()) == {"t3"}


@POSTHOG
@pytest.mark.parametrize(
    ("request_line", "bare"),
    [
        (ONE, Bare(404, PLAIN, b"default backend - 404")),
        (ONE, Bare(404, HTML, b"<h1>Not found</h1>")),
        (ONE, Bare(403, PLAIN, b"")),
        (ONE, Bare(502, PLAIN, b"")),
    ],
)
def test_a_gateway_that_answers_for_one_dashboard_proves_nothing(world: World, request_line: str, bare: Bare) -> None:
    old = provision_and_empty(world)
    change(world.path, "UPDATE tenant_dashboards SET status = 'failed'")
    world.gateway.refuse(request_line, bare)
    with pytest.raises(ProvisioningError, match="4 of 4 tenants failed"):
        world.provision()
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id <> 't3'")
    with pytest.raises(ApiError):
        world.remove()
    assert world.system.existing() == set()
    assert world.ledger() == old
    world.gateway.pass_all()
    world.remove()
    world.provision()
    assert set(world.ledger()) == {"t3"}
    assert world.system.existing() == set(world.ledger().values())


@POSTHOG
def test_one_dashboard_that_exists_disproves_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(belief, "ASKED", 4)
    world.provision()
    ids = world.ledger()
    world.empty(keep={ids["t2"]})
    change(world.path, "UPDATE tenant_dashboards SET status = 'failed'")
    world.gateway.refuse(LISTS, WRONG_LISTS["posthog"])
    with pytest.raises(ProvisioningError, match="the list shows none of the 4 dashboards"):
        world.provision()
    assert world.ledger() == ids
    assert world.system.existing() == {ids["t2"]}
    world.gateway.pass_all()
    world.provision()
    assert world.ledger()["t2"] == ids["t2"]
    assert world.system.existing() == set(world.ledger().values())


@OTHERS
def test_where_nothing_proves_it_the_message_has_the_statement_that_helps(world: World) -> None:
    provision_and_empty(world)
    change(world.path, "UPDATE tenants SET active = 0 WHERE tenant_id <> 't3'")
    with pytest.raises(MalformedAnswerError, match="so it is not believed") as refused:
        world.remove()
    scopes = read(world.path, "SELECT DISTINCT system, scope FROM tenant_dashboards")
    system, scope = scopes[0]
    statement = f"DELETE FROM tenant_dashboards WHERE system = '{system}' AND scope = '{scope}'"
    assert str(refused.value).endswith(statement)
    change(world.path, statement)
    world.remove()
    world.provision()
    assert set(world.ledger()) == {"t3"}
    assert world.system.existing() == set(world.ledger().values())


@pytest.mark.parametrize("world", ["databrain", "posthog"], indirect=True)  # Conduit cannot change a dashboard.
def test_an_update_that_the_api_itself_answers_with_404_builds_again(world: World) -> None:
    provision_and_empty(world)
    world.provision(spec=world.system.changed)
    assert set(world.ledger()) == set(NAMES)
    assert sorted(world.system.shown()) == sorted((world.ledger()[name], f"New {name}") for name in NAMES)
