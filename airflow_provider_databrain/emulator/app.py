"""The emulator as one ASGI app: the APIs, their control panel and the page a person sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from airflow_provider_databrain.emulator.conduit import ConduitState
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.faults import Behaviour, Control, Fault, FaultMiddleware
from airflow_provider_databrain.emulator.posthog.state import PostHogState
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.routes import Routes

_PAGE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
).get_template("page.html")
NEWEST = 200
"""Dashboards that the page shows."""
LAST = 12
"""Requests that the page shows."""


def create_app(
    state: State, posthog: PostHogState, conduit: ConduitState, control: Control, apis: Iterable[Routes]
) -> FastAPI:
    """Put the emulator together.

    :param state: what the page shows of Databrain.
    :param posthog: what the page shows of PostHog.
    :param conduit: what the page shows of Conduit.
    :param apis: each API's routes.
    """
    app = FastAPI(title="Databrain emulator", docs_url=None, redoc_url=None)
    for routes in apis:
        app.router.routes.extend(routes.routes)
    app.add_middleware(FaultMiddleware, control=control)

    @app.exception_handler(RefusalError)
    async def refuse(_request: Request, refusal: RefusalError) -> JSONResponse:
        return refusal.response()

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        total = state.count_embeds()
        workspaces = [
            {"name": name, "metrics": len(state.metrics(name)), "dashboards": len(state.dashboards(name))}
            for name in state.workspaces()
        ]
        return _PAGE.render(
            workspaces=workspaces,
            embeds=state.embeds(offset=max(0, total - NEWEST))[::-1],
            embeds_total=total,
            posthog=posthog.newest(NEWEST),
            posthog_total=posthog.count_dashboards(None),
            conduit=conduit.workspaces()[-NEWEST:][::-1],
            requests=list(islice(reversed(control.log), LAST)),
            requests_total=len(control.log),
            faults=control.faults,
        )

    @app.get("/_emulator/requests")
    async def requests() -> list[dict[str, Any]]:
        return [asdict(request) for request in control.log]

    @app.get("/_emulator/calls")
    async def calls() -> dict[str, int]:
        """How often each operation was called since the start."""
        return {f"{method} {path}": count for (method, path), count in control.arrived.items()}

    @app.put("/_emulator/faults")
    async def set_faults(faults: list[Fault]) -> list[Fault]:
        control.set_faults(faults)
        return faults

    @app.put("/_emulator/behaviour")
    async def set_behaviour(behaviour: Behaviour) -> Behaviour:
        control.behaviour = behaviour
        return behaviour

    return app
