"""What all of Databrain's endpoints share: address, tokens, error codes, and the answer that is only an id.

Facts: the error tables of the vendor's API reference, and the guards in the vendor's own demo code (see ``_PLAIN``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from airflow_provider_databrain.client.call import Endpoint, Resend, Token
from airflow_provider_databrain.client.dialect import ErrorDialect
from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.client.models import Name, Received, reader

CLOUD_URL = "https://api.usedatabrain.com"
API_KEY = Token("data app API key", "Password")
SERVICE_TOKEN = Token("service token", "Service token (extra 'service_token')")

_CODES: dict[str, type[ApiError]] = {
    # The pages spell the authentication code in several ways, with status 400, 401 or 403.
    "AUTHENTICATION_ERROR": AuthenticationError,
    "AUTHENTICATION_ERR": AuthenticationError,
    "AUTH_ERROR": AuthenticationError,
    "INVALID_DATA_APP_API_KEY": AuthenticationError,
    "INVALID_SERVICE_TOKEN": AuthenticationError,
    "WORKSPACE_ID_ERROR": NotFoundError,
    "INVALID_WORKSPACE_NAME": NotFoundError,
    "WORKSPACE_DOES_NOT_EXIST": NotFoundError,
    "TEMPLATE_DASHBOARD_ERROR": NotFoundError,
    "INVALID_EMBED_ID": NotFoundError,
    "EMBED_PARAM_ERROR": NotFoundError,
    "EMBED_NOT_FOUND": NotFoundError,  # not the vendor's code: ``_find_error`` sets it
    "INVALID_REQUEST_BODY": InvalidRequestError,
    "CLIENT_ID_ERROR": InvalidRequestError,
    "INVALID_DASHBOARD_DATA": InvalidRequestError,
    "DASHBOARD_CREATE_ERROR": ServerError,
    "INTERNAL_SERVER_ERROR": ServerError,
    "INVALID_SERVER_ERROR": ServerError,
}
_PLAIN: dict[str, type[ApiError]] = {
    # Here ``error`` is a plain string. No page says so, but the vendor's demo code guards against it.
    "INVALID_KEY": AuthenticationError,
    "INVALID_TOKEN": AuthenticationError,
    "UNAUTHORIZED": AuthenticationError,
}


def _find_error(payload: object) -> tuple[str | None, str] | None:
    """Read ``error`` from an answer: an object with code and message, a plain string, null, or absent.

    If the embed to delete does not exist, the server answers with the code for an invalid body, and only the message
    says what is wrong. That answer gets the code EMBED_NOT_FOUND here.

    :return: code and message; None if the answer holds no error.
    """
    if not isinstance(payload, Mapping):
        return None
    error = payload.get("error")
    if error is None or error == "" or error is False:
        return None
    if isinstance(error, Mapping):
        code = error.get("code")
        message = str(error.get("message") or code or "no message")
        if code == "INVALID_REQUEST_BODY" and "embed not found" in message.lower():
            code = "EMBED_NOT_FOUND"
        return (str(code) if code else None, message)
    text = str(error)
    return (text if len(text) <= 40 else None, text)


_OWN_CODE = re.compile(r"[A-Z][A-Z0-9]*([_ ][A-Z0-9]+)+")
_HTTP_WORDS = HTTPStatus.__members__.keys() - _CODES.keys()


def _is_own(payload: object) -> bool:
    """Whether ``error`` is an object whose code has the form of Databrain's codes: WORDS_IN_CAPITALS.

    A number, a plain string, or a status in words (NOT_FOUND) is how gateways and hosting platforms word their errors.
    """
    error = payload.get("error") if isinstance(payload, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    return isinstance(code, str) and bool(_OWN_CODE.fullmatch(code)) and code.replace(" ", "_") not in _HTTP_WORDS


DATABRAIN = ErrorDialect("Databrain", _CODES | _PLAIN, _find_error, _is_own)


def endpoint(name: str, method: str, path: str, token: Token, *, resend: Resend | None = None, **more: Any) -> Endpoint:
    """An endpoint below ``/api/v2``.

    :param resend: when a call may be sent again. A POST must say it. The default for other methods is always.
    :raises TypeError: a POST does not say it.
    """
    if resend is None:
        if method == "POST":
            raise TypeError(f"{name}: a POST must say when it may be sent again")
        resend = Resend.ALWAYS
    return Endpoint(name, method, f"/api/v2{path}", token, resend=resend, dialect=DATABRAIN, **more)


class WithId(Received):
    """The answer to a change: the id of what was created, changed or deleted."""

    id: Name


_read_with_id = reader(WithId)


def read_id(payload: object) -> str:
    """The ``id`` in the answer to a change."""
    return _read_with_id(payload).id
