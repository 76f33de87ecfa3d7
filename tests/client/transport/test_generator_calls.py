"""Calls of several requests: which answers and errors a transport passes to them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ApiError, NotFoundError, ServerError
from airflow_provider_databrain.client.server import ConfigurationError, Server
from airflow_provider_databrain.emulator.faults import Fault
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api import dashboards
from airflow_provider_databrain.posthog.api.models import Dashboard
from tests.client.conftest import Run
from tests.posthog.support import posthog_server, sent

pytestmark = pytest.mark.usefixtures("fast_retries")
Call = Generator[Request[Any], Any, Any]


def test_an_error_is_raised_at_the_yield_of_its_request_and_the_call_goes_on(posthog: Emulator, run: Run) -> None:
    existing = posthog.posthog.add_dashboard(name="existing")

    def call() -> Call:
        names = []
        for number in (99998, existing, 99999):
            try:
                names.append((yield dashboards.retrieve_dashboard(number)).name)
            except NotFoundError as error:
                names.append(error.dashboard)
        return names

    assert run(posthog_server(posthog), call()) == ["99998", "existing", "99999"]


def test_an_error_that_the_call_does_not_catch_ends_it(posthog: Emulator, run: Run) -> None:
    ended: list[str] = []

    def call() -> Call:
        try:
            yield dashboards.retrieve_dashboard(99999)
            ended.append("went on")
        finally:
            ended.append("cleaned up")

    with pytest.raises(NotFoundError, match=r"retrieve dashboard \(dashboard '99999'\) failed"):
        run(posthog_server(posthog), call())
    assert ended == ["cleaned up"]
    assert len(sent(posthog)) == 1


def test_a_call_may_send_another_request_after_an_error_and_raise_it_again(posthog: Emulator, run: Run) -> None:
    def call() -> Call:
        try:
            yield dashboards.retrieve_dashboard(99999)
        except NotFoundError:
            yield dashboards.create_dashboard({"name": "instead"})
            raise

    with pytest.raises(NotFoundError, match="'99999'"):
        run(posthog_server(posthog), call())
    assert [row.fields["name"] for row in posthog.posthog.dashboards()] == ["instead"]


def test_an_error_reaches_the_innermost_call_first(posthog: Emulator, run: Run) -> None:
    def inner() -> Generator[Request[Any], Any, str]:
        try:
            yield dashboards.retrieve_dashboard(99999)
        except NotFoundError:
            return "caught"
        return "found"

    def outer() -> Call:
        return (yield from inner())

    assert run(posthog_server(posthog), outer()) == "caught"


def test_a_call_gets_an_error_only_if_retries_did_not_help(posthog: Emulator, run: Run) -> None:
    met: list[ApiError] = []

    def call() -> Call:
        listed = yield dashboards.list_page()
        try:
            yield dashboards.create_dashboard({})
        except ServerError as error:
            met.append(error)
        return listed.results

    posthog.control.set_faults(
        [Fault(kind="error_before", method="GET", times=2), Fault(kind="error_before", method="POST", times=1)]
    )
    assert run(posthog_server(posthog), call()) == []
    assert [error.endpoint for error in met] == ["create dashboard"]
    assert sent(posthog) == ["GET dashboards/"] * 3 + ["POST dashboards/"]


def test_a_call_without_requests_returns_its_result(run: Run) -> None:
    def call() -> Call:
        yield from ()
        return "nothing to do"

    assert run(Server("http://127.0.0.1:9", {}), call()) == "nothing to do"


def test_an_unusable_connection_is_not_an_api_error(run: Run) -> None:
    def call() -> Call:
        try:
            yield dashboards.retrieve_dashboard(1)
        except ApiError:
            return "caught"

    with pytest.raises(ConfigurationError, match="no personal API key"):
        run(Server("http://127.0.0.1:9", {}, parameters={"project_id": "1"}), call())


def test_each_request_gets_its_own_answer(posthog: Emulator, run: Run) -> None:
    def call() -> Call:
        created: Dashboard = yield dashboards.create_dashboard({"name": "one"})
        yield dashboards.update_dashboard(created.id, {"name": "two"})
        return (yield dashboards.retrieve_dashboard(created.id))

    assert run(posthog_server(posthog), call()).name == "two"
