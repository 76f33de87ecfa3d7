"""The command ``airflow-databrain-emulator``, which serves the emulator until it is interrupted."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.emulator.systems import SYSTEMS, TOKENS


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    arguments = argparse.ArgumentParser(
        prog="airflow-databrain-emulator",
        description=f"Answers like the APIs of {', '.join(system.name for system in SYSTEMS)}. "
        "Keeps its state in an SQLite file.",
        epilog=f"It accepts the tokens in the environment variables {', '.join(token.variable for token in TOKENS)}. "
        "If a variable is not set, it makes a token up and prints it.",
    )
    arguments.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    arguments.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer requests to this name too, such as the name of a container; may be repeated (default: only the "
        "address to bind, localhost and loopback addresses)",
    )
    arguments.add_argument("--port", type=int, default=8095, help="port; 0 takes a free one (default: %(default)s)")
    arguments.add_argument("--db", default="databrain-emulator.sqlite", help="state file (default: %(default)s)")
    arguments.add_argument("--workspace", default="analytics", help="workspace to create (default: %(default)s)")
    return arguments


def prepare(arguments: argparse.Namespace) -> Emulator:
    """Create the emulator that the arguments describe, with sample data."""
    tokens = {token.argument: os.environ.get(token.variable) for token in TOKENS}
    emulator = Emulator(
        arguments.db, host=arguments.host, port=arguments.port, allowed_hosts=arguments.allow_host, **tokens
    )
    for system in emulator.systems:
        system.add_samples(arguments.workspace)
    return emulator


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    emulator = prepare(parser().parse_args(argv))
    print(f"Emulator at {emulator.url}", flush=True)
    for token in TOKENS:
        if not os.environ.get(token.variable):
            print(f"{token.label + ':':<18}{emulator.tokens[token.argument]}", flush=True)
    emulator.serve()


if __name__ == "__main__":
    main()
