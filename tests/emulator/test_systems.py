"""The list of the systems that the emulator plays."""

from __future__ import annotations

import re

import pytest
import requests

from airflow_provider_databrain.emulator import conduit
from airflow_provider_databrain.emulator.databrain import dialect as databrain
from airflow_provider_databrain.emulator.dialects import Dialect
from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.posthog import dialect as posthog
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.emulator.systems import SYSTEMS, TOKENS, dialect_of
from tests.docs.test_endpoints import SYSTEMS as ENDPOINTS
from tests.docs.test_endpoints import endpoints


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/api/v2/workspace", databrain.DIALECT),
        ("/api/v2", posthog.DIALECT),
        ("/api/projects/1/dashboards/", posthog.DIALECT),
        ("/v2/workspaces/", conduit.DIALECT),
        ("/", None),
        ("/_emulator/requests", None),
        ("/shared/token", None),
    ],
)
def test_a_path_belongs_to_the_first_system_whose_prefix_it_has(path: str, dialect: Dialect | None) -> None:
    assert dialect_of(path) is dialect


def test_an_emulator_takes_the_tokens_of_all_systems_and_makes_up_the_others() -> None:
    given = {token.argument: f"given-{token.argument}" for token in TOKENS}
    assert len(given) == len({token.variable for token in TOKENS}) == len(TOKENS)
    with Emulator(":memory:", host="127.0.0.1", port=0, **given) as emulator:
        assert emulator.tokens == given
    with Emulator(api_key="given", conduit_token=None) as emulator:
        made_up = {name: token for name, token in emulator.tokens.items() if name != "api_key"}
        assert emulator.tokens["api_key"] == "given"
        assert all(made_up.values())
        assert len(set(made_up.values())) == len(TOKENS) - 1


def test_an_unknown_token_is_an_error_that_names_it() -> None:
    with pytest.raises(TypeError, match="no token called api_token"):
        Emulator(api_token="x")


def test_the_page_has_the_tables_of_all_systems(emulator: Emulator) -> None:
    page = requests.get(emulator.url, timeout=5).text
    assert len(emulator.systems) == len(SYSTEMS)
    for system in emulator.systems:
        for table in system.tables():
            assert f"<h2>{table.title}</h2>" in page


READING = {
    "export dashboard",
    "fetch dashboard metrics",
    "fetch metric data",
    "fetch workspace dashboards",
    "fetch workspace metrics",
    "get sync progress",
}
"""Endpoints that only read, although they are not called with GET."""


def test_a_read_only_server_refuses_each_endpoint_that_changes_something(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(read_only=True)
    passed = set()
    for system, (modules, _, prefix) in ENDPOINTS.items():
        for endpoint in endpoints(modules):
            if endpoint.method != "GET":
                path = prefix + re.sub(r"\{\w+\}", "1", endpoint.path)
                answer = requests.request(endpoint.method, emulator.url + path, json={}, timeout=10)
                assert answer.status_code in (400, 401, 403, 404), (system, endpoint.name)
                # The refusal of a change comes before any look at the token.
                if "Changes are refused" not in answer.text:
                    passed.add(endpoint.name)
    assert passed == READING
