"""An HTTP answer as a value, with the wait that it asks for.

A ``Reply`` needs no connection: its body has been read, and its header names are lower-case. What it means for a call
is decided elsewhere (``client.answer``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from airflow_provider_databrain.client.waits import Wait, wait_of


@dataclass(frozen=True)
class Reply:
    """An HTTP answer.

    :param headers: with lower-case names.
    :param unread: why the body may not be what the server meant, for example because it is cut; empty if it is.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    unread: str = ""

    @cached_property
    def json(self) -> object:
        """The decoded body.

        :raises ValueError: the body is not JSON.
        """
        return json.loads(self.body)

    @cached_property
    def wait(self) -> Wait | None:
        """The wait that the server asks for; None if it asks for none."""
        return wait_of(self.status, self.headers)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, at most ``MAX_WAIT_SECONDS``; None if it asks for no wait."""
        return None if self.wait is None else self.wait.seconds
