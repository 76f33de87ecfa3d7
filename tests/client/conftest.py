"""Each test that uses ``run`` runs once with each transport."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

import pytest

from airflow_provider_databrain.client.call import Call
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.client.transport.sync import SyncTransport

T = TypeVar("T")


class Run(Protocol):
    """Runs calls one after the other on one transport, and returns the result of the last one."""

    def __call__(self, server: Server, *calls: Call[T]) -> T: ...


def run_sync(server: Server, *calls: Call[T]) -> T:
    with SyncTransport(server) as transport:
        return [transport.run(call) for call in calls][-1]


def run_async(server: Server, *calls: Call[T]) -> T:
    async def go() -> T:
        async with AsyncTransport(server) as transport:
            return [await transport.run(call) for call in calls][-1]

    return asyncio.run(go())


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """One of the two transports."""
    chosen: Run = request.param
    return chosen
