"""Databrain as the vendor's reference describes it, and as it may be where the reference is silent.

A test that uses ``world`` runs once in each of them. What the provider relies on must hold in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator

WORLDS: Mapping[str, Mapping[str, Any]] = {
    "as documented": {},
    "embeds with ids of their own": {
        "own_embed_ids": True,
        "frees_ids": True,
        "create_error_status": 400,
        "missing_embed_code": "EMBED_PARAM_ERROR",
        "template_replaces_metadata": True,
    },
    "an older list without paging, errors with 200": {
        "older_embed_list": True,
        "ignores_paging": True,
        "errors_with_200": True,
        "missing_embed_code": "INVALID_REQUEST_BODY",
    },
    "a list that is cut": {"embed_list_limit": 10},
    "a list without an order": {"embed_list_limit": 25, "shuffles_embeds": True, "own_embed_ids": True},
}


def enter(emulator: Emulator, name: str, **changes: Any) -> None:
    """Let the emulated Databrain be one of the worlds. ``changes`` replace fields of its behaviour."""
    emulator.control.behaviour = Behaviour.model_validate({**WORLDS[name], **changes})


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """The name of the world that the emulated Databrain is in."""
    enter(emulator, request.param)
    return str(request.param)
