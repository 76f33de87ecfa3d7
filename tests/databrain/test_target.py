"""Whose dashboard is it: what counts as proof, and what a tenant's request must be."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.errors import AlreadyExistsError
from airflow_provider_databrain.databrain.api.embeds import Embed
from airflow_provider_databrain.databrain.target import STAMP, TENANT_STAMP, DatabrainTarget, adopt, owner_of, stamped
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.support import ACCESS, SPEC, embed

FIELDS: dict[str, Any] = {"dashboard_id": "client-acme", "client_id": "acme", "access_settings": ACCESS}


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
    pytest.param(listed("client-acme_acme", {STAMP: 7}), "acme", id="a stamp that is no text"),
    pytest.param(listed("client-acme_acme", "text"), "acme", id="metadata that is no object"),
    pytest.param(listed("Sales", {"team": "acme"}), None, id="renamed, not stamped"),
    pytest.param(listed("client-acme_"), None, id="title without a client"),
    pytest.param(listed("client-acme"), None, id="title without the mark between"),
    pytest.param(listed("CLIENT-ACME_acme"), None, id="title in another case"),
    pytest.param(listed(None), None, id="no title"),
    pytest.param(listed(externalDashboard=None), None, id="no dashboard"),
    pytest.param(
        listed(externalDashboard={"name": "client-acme_acme"}, embedMetadata={"dashboardId": "client-acme"}),
        "acme",
        id="older server that names the dashboard beside",
    ),
    pytest.param(
        listed(externalDashboard={"name": "client-acme_acme"}), "acme", id="oldest server, the embed's own id"
    ),
]


@pytest.mark.parametrize(("found", "owner"), OWNERS)
def test_the_owner_is_told_by_stamp_or_default_title_only(found: Embed, owner: str | None) -> None:
    assert owner_of(found) == owner


@pytest.mark.parametrize(("found", "owner"), OWNERS)
def test_a_dashboard_is_adopted_where_its_owner_is_the_wanted_client(found: Embed, owner: str | None) -> None:
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


def test_the_embed_made_with_the_dashboard_is_taken_where_there_are_several() -> None:
    assert adopt([listed(embed_id="second"), listed(), listed(embed_id="third")], embed()) == "client-acme"


def test_a_single_embed_of_another_id_is_taken() -> None:
    assert adopt([listed(embed_id="first")], embed()) == "first"


def test_several_embeds_of_other_ids_are_not_chosen_among() -> None:
    with pytest.raises(AlreadyExistsError, match="several embeds \\('first', 'second'\\)"):
        adopt([listed(embed_id="first"), listed(embed_id="second")], embed())


def test_a_taken_id_that_is_not_listed_is_told() -> None:
    with pytest.raises(AlreadyExistsError, match="this id is taken, but lists no embed with it"):
        adopt([listed()], embed("globex"))


def test_a_stamp_is_added_to_the_users_metadata() -> None:
    wanted = embed(metadata={"region": "EU"})
    assert stamped(wanted, "acme").metadata == {"region": "EU", STAMP: "acme"}
    assert wanted.metadata == {"region": "EU"}
    assert stamped(embed(), "acme").metadata == {STAMP: "acme"}
    assert stamped(embed(), "row-7").metadata == {STAMP: "acme", TENANT_STAMP: "row-7"}


@pytest.mark.parametrize("stamp", [True, False])
def test_a_foreign_stamp_is_refused(stamp: bool) -> None:
    target = DatabrainTarget(workspace_name="analytics", stamp=stamp)
    with pytest.raises(SpecError, match=f"tenant 'acme': metadata: the key '{STAMP}' is this provider's own"):
        target.desire("acme", {**FIELDS, "metadata": {STAMP: "globex"}})


def test_without_stamp_the_request_is_left_alone() -> None:
    desired = DatabrainTarget(workspace_name="analytics", stamp=False).desire("acme", FIELDS)
    assert desired.wanted.metadata is None
    assert (desired.tenant, desired.dashboard_id) == ("acme", "client-acme")


@pytest.mark.parametrize("name", ["workspace_name", "workspaceName"])
def test_the_specs_workspace_goes_before_the_default(name: str) -> None:
    target = DatabrainTarget(workspace_name="analytics")
    assert target.desire("acme", FIELDS).wanted.workspace_name == "analytics"
    assert target.desire("acme", {**FIELDS, name: "sales"}).wanted.workspace_name == "sales"


def test_fields_may_have_the_apis_names() -> None:
    fields = {"dashboardId": "d", "clientId": "c", "accessSettings": ACCESS, "workspaceName": "analytics"}
    assert DatabrainTarget().desire("t", fields).dashboard_id == "d"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"dashboard_id": ""}, "dashboard_id"),
        ({"client_id": " "}, "client_id"),
        ({"workspace_name": None}, "workspace_name"),
        ({"is_import_metrics": "s3cret"}, "is_import_metrics"),
        ({"metric_import_mode": "s3cret"}, "metric_import_mode"),
        ({"access_settings": {**ACCESS, "metric_creation_mode": "s3cret"}}, "access_settings.metric_creation_mode"),
        ({"access_settings": {"extra": {"key": "s3cret"}}}, "access_settings.(datamartName|datamart_name)"),
        ({"schema_pairs": [{"replace_schema": "s3cret"}]}, "schema_pairs.0.(targetSchema|target_schema)"),
        ({"colour": "s3cret"}, "colour"),
    ],
)
def test_a_bad_field_is_named_with_the_tenant_and_without_its_value(changes: dict[str, Any], shown: str) -> None:
    with pytest.raises(SpecError, match=f"tenant 'acme': .*{shown}: ") as caught:
        DatabrainTarget().desire("acme", {**SPEC, **FIELDS, **changes})
    assert "s3cret" not in str(caught.value)


def test_a_missing_workspace_is_named() -> None:
    with pytest.raises(SpecError, match=r"tenant 'acme': (workspaceName|workspace_name): "):
        DatabrainTarget().desire("acme", FIELDS)


@pytest.mark.parametrize("word", ["Adopt", "", "skip"])
def test_an_unknown_word_for_existing_dashboards_is_refused(word: Any) -> None:
    with pytest.raises(ValueError, match=f"if_exists is {word!r}; it is 'adopt' or 'fail'"):
        DatabrainTarget(if_exists=word)


# What the ledger holds against the spec


def test_what_was_made_as_desired_does_not_differ() -> None:
    target = DatabrainTarget(workspace_name="analytics")
    desired = target.desire("acme", FIELDS)
    same = Existing("client-acme", "client-acme", desired.spec_hash)
    assert len(desired.spec_hash) <= 200
    assert not target.differs(desired, same)
    # Metadata is the API's at creation only.
    assert not target.differs(target.desire("acme", {**FIELDS, "metadata": {"region": "EU"}}), same)


@pytest.mark.parametrize(
    "changes", [{"name": "Sales"}, {"access_settings": {**ACCESS, "is_allow_metric_update": False}}]
)
def test_what_an_update_can_change_differs(changes: dict[str, Any]) -> None:
    target = DatabrainTarget(workspace_name="analytics")
    made = Existing("client-acme", "client-acme", target.desire("acme", FIELDS).spec_hash)
    assert target.differs(target.desire("acme", {**FIELDS, **changes}), made)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"dashboard_id": "other"}, "now says dashboard id 'other', the ledger has 'client-acme'"),
        ({"client_id": "globex"}, "client_id or workspace_name is not what"),
        ({"workspace_name": "sales"}, "client_id or workspace_name is not what"),
    ],
)
def test_what_nothing_can_change_is_refused(changes: dict[str, Any], shown: str) -> None:
    target = DatabrainTarget(workspace_name="analytics")
    made = Existing("client-acme", "client-acme", target.desire("acme", FIELDS).spec_hash)
    with pytest.raises(SpecError, match=f"tenant 'acme': .*{shown}"):
        target.differs(target.desire("acme", {**FIELDS, **changes}), made)
