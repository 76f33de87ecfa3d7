"""The command ``airflow-databrain-emulator``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from airflow_provider_databrain.emulator.server import Emulator

API_KEY_VARIABLE = "DATABRAIN_EMULATOR_API_KEY"
SERVICE_TOKEN_VARIABLE = "DATABRAIN_EMULATOR_SERVICE_TOKEN"  # noqa: S105
POSTHOG_KEY_VARIABLE = "POSTHOG_EMULATOR_API_KEY"


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = argparse.ArgumentParser(
        prog="airflow-databrain-emulator",
        description="Answers as the APIs of Databrain and PostHog do, from an SQLite file.",
        epilog=f"The tokens it accepts come from {API_KEY_VARIABLE}, {SERVICE_TOKEN_VARIABLE} and "
        f"{POSTHOG_KEY_VARIABLE}; without them it makes some up and prints them.",
    )
    arguments.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    arguments.add_argument("--port", type=int, default=8095, help="port, 0 for a free one (default: %(default)s)")
    arguments.add_argument("--db", default="databrain-emulator.sqlite", help="state file (default: %(default)s)")
    arguments.add_argument("--workspace", default="analytics", help="workspace to start with (default: %(default)s)")
    return arguments


def prepare(arguments: argparse.Namespace) -> Emulator:
    """Make the emulator that the arguments describe, with something in it."""
    emulator = Emulator(
        arguments.db,
        host=arguments.host,
        port=arguments.port,
        api_key=os.environ.get(API_KEY_VARIABLE),
        service_token=os.environ.get(SERVICE_TOKEN_VARIABLE),
        posthog_key=os.environ.get(POSTHOG_KEY_VARIABLE),
    )
    emulator.state.add_workspace(
        arguments.workspace,
        metrics=["active-users", "churn-rate", "mrr", "new-signups", "revenue"],
        dashboards=["template-basic", "template-pro"],
    )
    return emulator


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    emulator = prepare(parser().parse_args(argv))
    print(f"Databrain emulator at {emulator.url}", flush=True)
    if not os.environ.get(API_KEY_VARIABLE):
        print(f"data app API key: {emulator.api_key}", flush=True)
    if not os.environ.get(SERVICE_TOKEN_VARIABLE):
        print(f"service token:    {emulator.service_token}", flush=True)
    if not os.environ.get(POSTHOG_KEY_VARIABLE):
        print(f"PostHog API key:  {emulator.posthog_key}", flush=True)
    emulator.serve()


if __name__ == "__main__":
    main()
