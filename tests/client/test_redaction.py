"""A secret that a server repeats in any form is not shown."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from textwrap import wrap
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_databrain.client.dialect import CODE_LIMIT, MESSAGE_LIMIT, classify
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.redaction import NOT_SHOWN, WINDOW, redact
from airflow_provider_databrain.client.reply import Reply
from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.databrain.api.endpoint import DATABRAIN

SECRET = "dbn-live_9fQ/k27+xTz-41WmRv.Ypq8"
REST = "nothing of it is here"
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "swapped case": str.swapcase,
    "percent": lambda text: quote(text, safe=""),
    "percent, lower": lambda text: quote(text, safe="").lower(),
    "percent, all": lambda text: "".join(f"%{ord(each):02x}" for each in text),
    "percent, all, twice": lambda text: quote("".join(f"%{ord(each):02X}" for each in text)),
    "plus": quote_plus,
    "html": lambda text: html.escape(text).replace("/", "&sol;").replace("+", "&plus;").replace("-", "&hyphen;"),
    "html, decimal": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "html, hex": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "json, slash": lambda text: json.dumps(text).replace("/", r"\/"),
    "json, all": lambda text: "".join(rf"\u{ord(each):04x}" for each in text),
    "json, all, twice": lambda text: json.dumps("".join(rf"\u{ord(each):04X}" for each in text)),
    "python": lambda text: "".join(rf"\x{ord(each):02x}" for each in text),
    "json within html": lambda text: html.escape(json.dumps({"token": text}).replace("-", r"\u002d")),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64, no padding": lambda text: b64encode(text.encode()).decode().rstrip("="),
    "base64, second": lambda text: b64encode(f"u{text}".encode()).decode(),
    "base64, third": lambda text: b64encode(f"us{text} and more".encode()).decode(),
    "base64, urlsafe": lambda text: urlsafe_b64encode(f"user:{text}".encode()).decode(),
    "base64, wrapped": lambda text: "\n".join(wrap(b64encode(f"user:{text}".encode()).decode(), 10)),
    "base64, percent": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
    "base64, utf-16": lambda text: b64encode(text.encode("utf-16")).decode(),
    "base64 of a part": lambda text: b64encode(text[:14].encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, upper": lambda text: text.encode().hex().upper(),
    "hex, colons": lambda text: text.encode().hex(":"),
    "hex, odd": lambda text: "f" + text.encode().hex(),
    "reversed": lambda text: text[::-1],
    "wrapped": lambda text: "\n   ".join(text[at : at + 5] for at in range(0, len(text), 5)),
    "wrapped, escaped": lambda text: r"\r\n".join(text[at : at + 5] for at in range(0, len(text), 5)),
    "invisible": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "tags": lambda text: "<wbr>".join(text[at : at + 4] for at in range(0, len(text), 4)),
    "utf-16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "full width": lambda text: "".join(chr(ord(each) + 0xFEE0) for each in text),
    "quoted-printable": lambda text: "".join(f"={ord(each):02X}" for each in text),
    "first half": lambda text: text[:12],
    "last half": lambda text: text[-12:],
    "middle": lambda text: text[9:20],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", ["{}", "{} and more", "no such key: {}", "key={}&x=1, '{}'"])
def test_a_secret_in_any_form_is_not_shown(form: str, around: str) -> None:
    shown = redact(around.replace("{}", FORMS[form](SECRET)), [SECRET, "other-secret-1234"])
    assert shown == NOT_SHOWN or "***" in shown
    assert not [piece for piece in _pieces(FORMS[form](SECRET), 8) if piece in shown]
    assert not [piece for piece in _pieces(SECRET, 6) if piece in shown]


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(len(text) - size + 1)]


@pytest.mark.parametrize("size", [6, 7, 8, 20])
def test_a_secret_that_is_cut_at_either_end_is_not_shown(size: int) -> None:
    assert redact(f"no such key: {SECRET[:size]}", [SECRET]) == "no such key: ***"
    assert redact(f"no such key: '{SECRET[:size]}…'", [SECRET]) == "no such key: '***…'"
    assert redact(f"{SECRET[-size:]} is unknown", [SECRET]) == "*** is unknown"


@pytest.mark.parametrize(
    "text",
    [
        "the template 'Basic dashboard' does not exist",
        "Ärger mit dem Schlüssel: 鍵がありません 👩‍💻",
        "no such file: /var/lib/dashboards/4e1243bd22c66e76c2ba9eddc1f91394e57f9f83",
        'unexpected <b>token</b> at {"a": "b64", "c": 12345678901234567890} &amp; 100%25',
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact(text, [SECRET, "abc", "s3cret", ""]) == text


@pytest.mark.parametrize("secret", ["abc", "a", "ab1", "pass1"])
def test_a_short_secret_is_hidden_where_it_stands_alone(secret: str) -> None:
    assert redact(f"user x, password '{secret}'", [secret]) == "user x, password '***'"
    assert redact(f"user x, password '%{ord(secret[0]):02x}{secret[1:]}'", [secret]) == NOT_SHOWN
    assert redact("xabcdpass1x aabb xab1x", [secret]) == "xabcdpass1x aabb xab1x"


@pytest.mark.parametrize("secret", ["s3cr3t", "s3cr3ts", "s3cr3t-s"])
def test_the_shortest_secrets_that_are_searched_in_words_are_not_shown_in_any_form(secret: str) -> None:
    for form in ("percent, all", "html, hex", "json, all", "base64, second", "hex"):
        assert redact(f"x{FORMS[form](secret)}x is unknown", [secret]) == NOT_SHOWN, form


def test_a_secret_that_contains_another_one_is_hidden_whole() -> None:
    assert redact("key abcdefgh-ijkl, abcdefgh", ["abcdefgh", "abcdefgh-ijkl"]) == "key ***, ***"


def test_a_long_text_is_cut_where_no_secret_is() -> None:
    shown = redact("x " * (WINDOW // 2 - 4) + SECRET * 100, [SECRET])
    assert len(shown) <= WINDOW
    assert shown.endswith("x ***")


def test_all_forms_of_the_proxy_s_credentials_are_secrets() -> None:
    server = Server("https://x", tokens={}, proxy="http://p:1", proxy_auth=("someone", "abc"))
    header = server.proxy_headers()["Proxy-Authorization"]
    for text in (header, header[:-4], "someone:abc", "c29tZW9uZTphYmM", "c29tZW9uZTph\nYmM="):
        shown = server.redact(f"refused: {text}")
        assert "c29tZ" not in shown
        assert ":abc" not in shown


@pytest.mark.parametrize("before", range(CODE_LIMIT - len(SECRET) - 2, CODE_LIMIT + 1))
def test_a_secret_at_the_limit_of_a_code_is_not_shown_in_part(before: int) -> None:
    error = _error(json.dumps({"error": {"code": "X" * before + SECRET, "message": "m"}}))
    assert error.code is not None
    assert not [piece for piece in _pieces(SECRET, 2) if piece in error.code]


@pytest.mark.parametrize("before", range(MESSAGE_LIMIT - len(SECRET) - 2, MESSAGE_LIMIT + 1))
def test_a_secret_at_the_limit_of_a_message_is_not_shown_in_part(before: int) -> None:
    error = _error(json.dumps({"error": {"code": "X", "message": "x" * before + SECRET}}))
    assert not [piece for piece in _pieces(SECRET, 2) if piece in error.message]


@pytest.mark.parametrize("before", range(20, 90))
def test_a_secret_at_the_limit_of_a_page_or_its_type_is_not_shown_in_part(before: int) -> None:
    error = _error("<" + "x" * before + SECRET, kind="x" * before + SECRET)
    assert not [piece for piece in _pieces(SECRET, 4) if piece in error.message]


def _error(body: str, kind: str = "application/json") -> ApiError:
    error = classify(
        Reply(400, {"content-type": kind}, body.encode()), DATABRAIN, {}, lambda text: redact(text, [SECRET])
    )
    assert error is not None
    return error
