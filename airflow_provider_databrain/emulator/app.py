"""The emulator as one ASGI application: the systems' APIs, the control endpoints and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from airflow_provider_databrain.emulator.faults import Behaviour, Control, Fault, FaultMiddleware
from airflow_provider_databrain.emulator.guard import GuardMiddleware
from airflow_provider_databrain.emulator.page import render
from airflow_provider_databrain.emulator.refusal import RefusalError
from airflow_provider_databrain.emulator.systems import RunningSystem, dialect_of


def create_app(systems: Sequence[RunningSystem], control: Control, hosts: Sequence[str] = ()) -> FastAPI:
    """Create the application that serves running systems.

    :param hosts: see ``GuardMiddleware``.
    """
    app = FastAPI(title="Dashboard API emulator", docs_url=None, redoc_url=None)
    for system in systems:
        app.router.routes.extend(system.routes)
    app.add_middleware(FaultMiddleware, control=control, dialect_of=dialect_of)
    # The last one that is added sees a request first.
    app.add_middleware(GuardMiddleware, hosts=hosts)

    @app.exception_handler(RefusalError)
    async def refuse(_request: Request, refusal: RefusalError) -> JSONResponse:
        response = refusal.response()
        # The base class is Databrain's.
        if type(refusal) is RefusalError and control.behaviour.errors_with_200:
            response.status_code = 200
        return response

    @app.get("/", response_class=HTMLResponse)
    async def page() -> str:
        return render([table for system in systems for table in system.tables()], control)

    @app.get("/_emulator/requests")
    async def requests() -> list[dict[str, Any]]:
        """The log of requests, oldest first."""
        return [asdict(request) for request in control.log]

    @app.get("/_emulator/calls")
    async def calls() -> dict[str, int]:
        """The number of calls of each operation since the start."""
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
