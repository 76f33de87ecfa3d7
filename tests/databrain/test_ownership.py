"""Whose dashboard is it: what counts as proof, and what is adopted."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError
from airflow_provider_databrain.databrain.api.embeds import Embed
from airflow_provider_databrain.databrain.ownership import STAMP, TENANT_STAMP, adopt, owner_of, stamped
from tests.support import embed


def listed(
    title: str | None = "client-acme_acme", metadata: object = None, *, embed_id: str = "client-acme", **changes: Any
) -> Embed:
    """An embed of the dashboard ``client-acme`` as the API lists it."""
    dashboard = {"externalDashboardId": "client-acme", "name": title, "metadata": metadata}
    return Embed.model_validate({"embedId": embed_id, "externalDashboard": dashboard, **changes})


OWNERS = [
    pytest.param(listed(), "acme", id="default title"),
    pytest.param(listed("client-acme_globex"), "globex", id="default title of another"),
    pytest.param(listed("client-acme_a_b"), "a_b", id="client id with an underscore"),
    pytest.param(listed("Sales", {STAMP: "acme"}), "acme", id="stamp"),
    pytest.param(listed("client-acme_acme", {STAMP: "globex"}), "globex", id="stamp before title"),
    pytest.param(listed("client-acme_acme", {STAMP: 7}), "acme", id="stamp that is not a string"),
    pytest.param(listed("client-acme_acme", "text"), "acme", id="metadata that is not an object"),
    pytest.param(listed("Sales", {"team": "acme"}), None, id="renamed, not stamped"),
    pytest.param(listed("client-acme_"), None, id="title without a client"),
    pytest.param(listed("client-acme"), None, id="title without the separator"),
    pytest.param(listed("CLIENT-ACME_acme"), None, id="title in another case"),
    pytest.param(listed(None), None, id="no title"),
    pytest.param(listed(externalDashboard=None), None, id="no dashboard"),
    pytest.param(
        listed(externalDashboard={"name": "client-acme_acme"}, embedMetadata={"dashboardId": "client-acme"}),
        "acme",
        id="older server that names the dashboard in embedMetadata",
    ),
    pytest.param(
        listed(externalDashboard={"name": "client-acme_acme"}),
        "acme",
        id="oldest server, which does not name the dashboard",
    ),
]


@pytest.mark.parametrize(("found", "owner"), OWNERS)
def test_only_a_stamp_or_the_default_title_proves_the_owner(found: Embed, owner: str | None) -> None:
    assert owner_of(found) == owner


@pytest.mark.parametrize(("found", "owner"), OWNERS)
def test_a_dashboard_is_adopted_only_if_its_owner_is_the_wanted_client(found: Embed, owner: str | None) -> None:
    if owner == "acme":
        assert adopt([found], embed()) == "client-acme"
        return
    with pytest.raises(AlreadyExistsError) as caught:
        adopt([found], embed())
    shown = str(caught.value)
    assert "for tenant 'acme' (dashboard 'client-acme')" in shown
    if owner is None:
        assert "nothing proves that it belongs to 'acme'" in shown
        assert "'client-acme_acme'" in shown
    else:
        assert f"belongs to client {owner!r}, not to 'acme'" in shown


def test_of_several_embeds_the_one_with_the_dashboards_id_is_adopted() -> None:
    assert adopt([listed(embed_id="second"), listed(), listed(embed_id="third")], embed()) == "client-acme"


def test_a_single_embed_with_another_id_is_adopted() -> None:
    assert adopt([listed(embed_id="first")], embed()) == "first"


def test_of_several_embeds_with_other_ids_none_is_adopted() -> None:
    with pytest.raises(AlreadyExistsError, match="several embeds \\('first', 'second'\\)"):
        adopt([listed(embed_id="first"), listed(embed_id="second")], embed())


def test_a_taken_id_that_is_not_listed_is_an_error() -> None:
    with pytest.raises(AlreadyExistsError, match="this id is taken, but lists no embed with it"):
        adopt([listed()], embed("globex"))


def test_a_stamp_is_added_to_the_users_metadata() -> None:
    wanted = embed(metadata={"region": "EU"})
    assert stamped(wanted, "acme").metadata == {"region": "EU", STAMP: "acme"}
    assert wanted.metadata == {"region": "EU"}
    assert stamped(embed(), "acme").metadata == {STAMP: "acme"}
    assert stamped(embed(), "row-7").metadata == {STAMP: "acme", TENANT_STAMP: "row-7"}
