"""What the operators of all systems share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.base.hook import ApiHook


class ApiOperator(BaseOperator):
    """Base of the operators that talk to a dashboard API.

    :param connect_timeout: seconds, instead of the connection's.
    :param read_timeout: seconds, instead of the connection's.
    :param max_retry_seconds: seconds from a call's first try after which no further one starts,
        instead of the connection's.
    """

    def __init__(
        self,
        *,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        max_retry_seconds: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.max_retry_seconds = max_retry_seconds

    @property
    def timeouts(self) -> dict[str, float | None]:
        """The three, as the hooks take them."""
        return {
            "connect_timeout": self.connect_timeout,
            "read_timeout": self.read_timeout,
            "max_retry_seconds": self.max_retry_seconds,
        }

    @property
    @abstractmethod
    def hook(self) -> ApiHook[Any]:
        """The hook, made when first used."""


def write_file(path: str, content: bytes) -> None:
    """Write to a path or an object storage URL; folders that a local file lacks are made."""
    from airflow_provider_databrain.airflow_compat import ObjectStoragePath

    target = ObjectStoragePath(path)
    if target.protocol in ("", "file", "local"):
        # Object storages have no folders, and to ask for one takes rights of its own.
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(content)
