"""The hook's changes to an embed, sync and async, against the emulator and against documented refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.databrain.api.access import AccessSettings
from airflow_provider_databrain.databrain.hook import DatabrainHook
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.server import Emulator
from tests.both_ways import BOTH_WAYS, do
from tests.databrain.connections import hook_for
from tests.support import ACCESS, ODD_IDS, embed, http_answer, raw_server, set_connection

EMBED = "client-acme"
EMBEDS = "/api/v2/data-app/embeds"
CHANGES: dict[str, tuple[Any, ...]] = {
    "update_embed": (EMBED, {"is_allow_email_reports": True}),
    "rename_embed": (EMBED, "Acme"),
    "delete_embed": (EMBED,),
}
METHODS = pytest.mark.parametrize("method", CHANGES)


@BOTH_WAYS
@pytest.mark.parametrize("legacy", [False, True])
async def test_an_embed_is_changed_and_deleted(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, prefix: str, legacy: bool
) -> None:
    set_connection(monkeypatch, emulator, extra={"legacy_paths": legacy})
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    assert await do(hook, prefix, "update_embed", EMBED, {"joinModel": "multi"}) == EMBED
    assert emulator.state.access_settings(EMBED)["joinModel"] == "multi"
    whole = AccessSettings.model_validate({**ACCESS, "datamart_name": "other"})
    assert await do(hook, prefix, "update_embed", EMBED, whole) == EMBED
    settings = emulator.state.access_settings(EMBED)
    assert (settings["datamartName"], settings["joinModel"]) == ("other", "multi")
    renamed = await do(hook, prefix, "rename_embed", EMBED, "Acme", is_rename_dashboard=True)
    assert (renamed.id, renamed.name) == (EMBED, "Acme")
    [row] = emulator.state.embeds()
    assert (row.name, row.dashboard_name) == ("Acme", "Acme")
    assert await do(hook, prefix, "delete_embed", EMBED, is_delete_dashboard=True) == EMBED
    assert not emulator.state.dashboard_exists(EMBED)
    assert {"dataApp" in path for _, path in emulator.control.arrived} == {legacy}


async def test_a_dashboard_is_kept_by_default(connection: Emulator) -> None:
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    hook.delete_embed(EMBED)
    assert connection.state.count_embeds() == 0
    assert connection.state.dashboard_exists(EMBED)


@BOTH_WAYS
async def test_embeds_with_odd_ids_are_found(connection: Emulator, prefix: str) -> None:
    hook = DatabrainHook()
    for tenant in ODD_IDS:
        hook.create_dashboard_embed(embed(tenant))
    for tenant in ODD_IDS:
        embed_id = f"client-{tenant}"
        assert (await do(hook, prefix, "rename_embed", embed_id, tenant)).name == tenant
        assert await do(hook, prefix, "update_embed", embed_id, {"datamart_name": tenant}) == embed_id
        assert connection.state.access_settings(embed_id)["datamartName"] == tenant
    assert [row.name for row in connection.state.embeds()] == ODD_IDS
    for number, tenant in enumerate(ODD_IDS, start=1):
        assert await do(hook, prefix, "delete_embed", f"client-{tenant}") == f"client-{tenant}"
        assert [row.name for row in connection.state.embeds()] == ODD_IDS[number:]


@METHODS
@BOTH_WAYS
async def test_an_embed_that_does_not_exist_is_named(connection: Emulator, prefix: str, method: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        await do(DatabrainHook(), prefix, method, *CHANGES[method])
    assert caught.value.dashboard == EMBED
    assert not caught.value.after_ambiguous
    assert str(caught.value).startswith(f"{method.replace('_', ' ')} (dashboard '{EMBED}') failed [HTTP 400, ")
    assert sum(connection.control.arrived.values()) == 1


@METHODS
@BOTH_WAYS
async def test_a_read_only_server_refuses_a_change(connection: Emulator, prefix: str, method: str) -> None:
    connection.control.behaviour = Behaviour(read_only=True)
    with pytest.raises(ApiError) as caught:
        await do(DatabrainHook(), prefix, method, *CHANGES[method])
    assert (caught.value.status, caught.value.code) == (403, "READ_ONLY")
    assert sum(connection.control.arrived.values()) == 1


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (400, "INVALID_REQUEST_BODY", '"embedId" is required', InvalidRequestError),
        (400, "INVALID_REQUEST_BODY", "Embed not found", NotFoundError),
        (400, "INVALID_EMBED_ID", "Invalid embed", NotFoundError),
        (400, "INVALID_DATAMART", "Invalid datamart", InvalidRequestError),
        (400, "INVALID_DATA_APP_API_KEY", "Invalid key", AuthenticationError),
        (401, "INVALID_DATA_APP_API_KEY", "Invalid key", AuthenticationError),
        (403, "NEVER_HEARD_OF", "Insufficient permissions", AuthenticationError),
        (500, "INTERNAL_SERVER_ERROR", "Internal server error", ServerError),
    ],
)
@METHODS
@BOTH_WAYS
async def test_each_documented_refusal_raises_its_error(
    monkeypatch: pytest.MonkeyPatch,
    prefix: str,
    method: str,
    status: int,
    code: str,
    message: str,
    expected: type[ApiError],
) -> None:
    answer = http_answer(status, json.dumps({"error": {"code": code, "message": message}}).encode())
    with raw_server(answer) as (url, met):
        hook = hook_for(monkeypatch, host=url, extra={"max_retry_seconds": 0})
        with pytest.raises(ApiError) as caught:
            await do(hook, prefix, method, *CHANGES[method])
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.message, caught.value.dashboard) == (status, message, EMBED)
    assert len(met) == 1


@BOTH_WAYS
async def test_a_change_without_an_embed_id_is_not_sent(connection: Emulator, prefix: str) -> None:
    for method, args in CHANGES.items():
        with pytest.raises(ValueError, match="embed_id is empty"):
            await do(DatabrainHook(), prefix, method, "", *args[1:])
    with pytest.raises(ValueError, match="name is empty"):
        await do(DatabrainHook(), prefix, "rename_embed", EMBED, "")
    assert not connection.control.arrived


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("", id="sync"),
        "a",
    ],
)
async def test_a_delete_that_finds_its_own_work_is_marked(
    connection: Emulator, fast_retries: None, prefix: str
) -> None:
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    connection.control.set_faults([Fault(kind="reset_after", method="DELETE", times=1)])
    with pytest.raises(NotFoundError) as caught:
        await do(hook, prefix, "delete_embed", EMBED)
    assert caught.value.after_ambiguous
    assert connection.state.count_embeds() == 0
    assert connection.control.arrived["DELETE", EMBEDS] == 2


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "error_after", "html"])
@pytest.mark.parametrize("method", ["update_embed", "rename_embed"])
@BOTH_WAYS
async def test_an_update_or_rename_is_tried_again(
    connection: Emulator, fast_retries: None, prefix: str, method: str, kind: Any
) -> None:
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    connection.control.set_faults([Fault(kind=kind, method="PUT", times=1)])
    answer = await do(hook, prefix, method, *CHANGES[method])
    assert getattr(answer, "id", answer) == EMBED
    assert sum(count for (verb, _), count in connection.control.arrived.items() if verb == "PUT") == 2


@pytest.mark.parametrize("kind", ["reset_before", "error_before"])
async def test_a_delete_that_did_not_happen_is_tried_again(connection: Emulator, fast_retries: None, kind: Any) -> None:
    hook = DatabrainHook()
    hook.create_dashboard_embed(embed())
    connection.control.set_faults([Fault(kind=kind, method="DELETE", times=1)])
    assert hook.delete_embed(EMBED) == EMBED
    assert connection.state.count_embeds() == 0
