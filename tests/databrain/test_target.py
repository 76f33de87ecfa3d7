"""What a tenant's request must be, and how it is compared with the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.client.call import Call, Request, Steps
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.databrain.api.embeds import Embed
from airflow_provider_databrain.databrain.ownership import STAMP, TENANT_STAMP
from airflow_provider_databrain.databrain.target import DatabrainTarget
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Existing
from tests.support import ACCESS, SPEC

FIELDS: dict[str, Any] = {"dashboard_id": "client-acme", "client_id": "acme", "access_settings": ACCESS}


@pytest.mark.parametrize("key", [STAMP, TENANT_STAMP])
@pytest.mark.parametrize("stamp", [True, False])
def test_a_foreign_stamp_is_refused(stamp: bool, key: str) -> None:
    target = DatabrainTarget(workspace_name="analytics", stamp=stamp)
    with pytest.raises(SpecError, match=f"tenant 'acme': metadata: the key '{key}' is this provider's own"):
        target.desire("acme", {**FIELDS, "metadata": {key: "globex"}})


def test_without_stamp_the_request_is_not_changed() -> None:
    desired = DatabrainTarget(workspace_name="analytics", stamp=False).desire("acme", FIELDS)
    assert desired.wanted.metadata is None
    assert (desired.tenant, desired.dashboard_id) == ("acme", "client-acme")


@pytest.mark.parametrize("name", ["workspace_name", "workspaceName"])
def test_the_specs_workspace_overrides_the_default(name: str) -> None:
    target = DatabrainTarget(workspace_name="analytics")
    assert target.desire("acme", FIELDS).wanted.workspace_name == "analytics"
    assert target.desire("acme", {**FIELDS, name: "sales"}).wanted.workspace_name == "sales"


def test_fields_may_use_the_apis_names() -> None:
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
def test_an_unknown_if_exists_is_refused(word: Any) -> None:
    with pytest.raises(ValueError, match=f"if_exists is {word!r}; it must be 'adopt' or 'fail'"):
        DatabrainTarget(if_exists=word)


# The spec compared with the ledger


def test_a_dashboard_created_as_desired_does_not_differ() -> None:
    target = DatabrainTarget(workspace_name="analytics")
    desired = target.desire("acme", FIELDS)
    same = Existing("client-acme", "client-acme", desired.spec_hash)
    assert len(desired.spec_hash) <= 200
    assert not target.differs(desired, same)
    # The API takes metadata at creation only.
    assert not target.differs(target.desire("acme", {**FIELDS, "metadata": {"region": "EU"}}), same)


@pytest.mark.parametrize(
    "changes", [{"name": "Sales"}, {"access_settings": {**ACCESS, "is_allow_metric_update": False}}]
)
def test_a_change_that_an_update_can_make_differs(changes: dict[str, Any]) -> None:
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
def test_a_change_that_no_update_can_make_is_refused(changes: dict[str, Any], shown: str) -> None:
    target = DatabrainTarget(workspace_name="analytics")
    made = Existing("client-acme", "client-acme", target.desire("acme", FIELDS).spec_hash)
    with pytest.raises(SpecError, match=f"tenant 'acme': .*{shown}"):
        target.differs(target.desire("acme", {**FIELDS, **changes}), made)


class Vendor:
    """A transport that gives every request the same answer. A call of several requests gets one for each.

    :param error: the error of each request.
    """

    def __init__(self, error: ApiError | None = None, answer: Any = None) -> None:
        self.sent: list[str] = []
        self.error = error
        self.answer = answer

    async def run(self, call: Call[Any]) -> Any:
        if isinstance(call, Request):
            return self._answer(call)
        steps = Steps(call)
        while request := steps.next_request():
            steps.answered(self._answer(request))
        return steps.result

    def _answer(self, request: Request[Any]) -> Any:
        self.sent.append(request.endpoint.name)
        if self.error is not None:
            raise self.error
        return self.answer


OTHER_ACCESS = {**ACCESS, "is_allow_metric_update": not ACCESS["is_allow_metric_update"]}


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, []),
        ({"name": "Sales"}, ["rename embed"]),
        ({"access_settings": OTHER_ACCESS}, ["update embed"]),
        ({"access_settings": OTHER_ACCESS, "name": "Sales"}, ["update embed", "rename embed"]),
    ],
)
async def test_an_update_sends_only_what_differs(changes: dict[str, Any], sent: list[str]) -> None:
    target, vendor = DatabrainTarget(workspace_name="analytics"), Vendor()
    known = Existing("client-acme", "embed-acme", target.desire("acme", FIELDS).spec_hash)
    desired = target.desire("acme", {**FIELDS, **changes})
    transport: Any = vendor
    assert (await target.update(transport, desired, known)).spec_hash == desired.spec_hash
    assert vendor.sent == sent


@pytest.mark.parametrize("from_api", [True, False])
async def test_only_the_apis_own_conflict_says_what_to_do_with_the_dashboard(from_api: bool) -> None:
    target, error = DatabrainTarget(workspace_name="analytics"), AlreadyExistsError("taken", status=409)
    error.from_api = from_api
    error.hint = "Look at the gateway."
    transport: Any = Vendor(error)
    with pytest.raises(AlreadyExistsError) as caught:
        await target.create(transport, target.desire("acme", FIELDS))
    assert ("Delete the dashboard in Databrain" in str(caught.value)) is from_api
    assert ("Look at the gateway" in str(caught.value)) is not from_api


def test_to_rename_the_dashboard_means_nothing_without_a_name() -> None:
    target = DatabrainTarget(workspace_name="analytics")
    plain, renamed = (target.desire("acme", {**FIELDS, "is_rename_dashboard": flag}) for flag in (False, True))
    assert plain.spec_hash == renamed.spec_hash
    named, both = (
        target.desire("acme", {**FIELDS, "name": "Sales", "is_rename_dashboard": flag}) for flag in (False, True)
    )
    assert named.spec_hash != both.spec_hash


async def test_a_dashboard_without_a_stamp_is_deleted_as_the_ledger_says() -> None:
    target, vendor = DatabrainTarget(), Vendor(answer=[Embed(embed_id="client-acme")])
    transport: Any = vendor
    await target.survey(transport)
    await target.delete(transport, "acme", Existing("client-acme", "client-acme", "a.b.c"))
    assert vendor.sent == ["list embeds", "delete embed"]


GONE = Existing("client-acme", "client-acme", "a.b.c")


@pytest.mark.parametrize("from_api", [True, False])
@pytest.mark.parametrize("error", [NotFoundError("no", status=404), InvalidRequestError("no", status=405)])
async def test_an_embed_that_is_not_listed_is_gone_if_nothing_contradicts(error: ApiError, from_api: bool) -> None:
    target, vendor = DatabrainTarget(), Vendor(answer=[])
    transport: Any = vendor
    await target.survey(transport)
    error.from_api = from_api
    vendor.error = error
    await target.delete(transport, "acme", GONE)
    assert vendor.sent == ["list embeds", "fetch embed metrics"]


async def test_an_embed_that_is_not_listed_but_there_is_not_gone() -> None:
    target, vendor = DatabrainTarget(), Vendor(answer=[])
    transport: Any = vendor
    await target.survey(transport)
    with pytest.raises(
        MalformedAnswerError, match="does not show embed 'client-acme', but the API still answers for it"
    ):
        await target.delete(transport, "acme", GONE)
    vendor.error = ServerError("down")
    with pytest.raises(ServerError):
        await target.delete(transport, "acme", GONE)
    assert "delete embed" not in vendor.sent
