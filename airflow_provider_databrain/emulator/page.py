"""The emulator's page for a person: numbers, the last requests, and tables that each system fills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import jinja2

from airflow_provider_databrain.emulator.faults import Control

NEWEST = 200
"""Maximum number of dashboards or workspaces in a table."""
LAST = 12
"""Maximum number of requests on the page."""
_PAGE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
).get_template("page.html")


@dataclass(frozen=True)
class Table:
    """One table of the page.

    :param rows: the newest rows, newest first; no token and no public link.
    :param total: the number of all rows.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    total: int


def render(tables: Iterable[Table], control: Control) -> str:
    """Return the page's HTML."""
    return _PAGE.render(
        tables=list(tables),
        requests=list(islice(reversed(control.log), LAST)),
        requests_total=len(control.log),
        faults=control.faults,
    )
