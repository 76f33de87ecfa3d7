"""The base of every vendor's operators, and how they write a file.

An operator makes its hook on first use, so a Dag file that contains the operator reads no connection.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import BaseOperator
from airflow_provider_databrain.base.arguments import ReadsArguments

if TYPE_CHECKING:
    from airflow_provider_databrain.base.hook import ApiHook


class ApiOperator(ReadsArguments, BaseOperator):
    """Base of the operators that call a dashboard API.

    :param connect_timeout: in seconds; replaces the connection's value.
    :param read_timeout: in seconds; replaces the connection's value.
    :param max_retry_seconds: seconds from a call's first try after which no other try starts; replaces the
        connection's value.
    :param max_call_seconds: seconds that one try of a call may take as a whole; replaces the connection's value.
    """

    def __init__(
        self,
        *,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        max_retry_seconds: float | None = None,
        max_call_seconds: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.max_retry_seconds = max_retry_seconds
        self.max_call_seconds = max_call_seconds

    @property
    def timeouts(self) -> dict[str, float | None]:
        """The four timeouts, as keyword arguments of a hook."""
        return {
            "connect_timeout": self.connect_timeout,
            "read_timeout": self.read_timeout,
            "max_retry_seconds": self.max_retry_seconds,
            "max_call_seconds": self.max_call_seconds,
        }

    @property
    @abstractmethod
    def hook(self) -> ApiHook[Any]:
        """The hook; it is made on first use."""


def write_file(path: str, content: bytes) -> None:
    """Write a file to a path or to an object storage URL. Missing folders of a local file are created."""
    from airflow_provider_databrain.airflow_compat import ObjectStoragePath

    target = ObjectStoragePath(path)
    if target.protocol in ("", "file", "local"):
        # An object storage has no folders, and to look for one needs extra rights.
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(content)
