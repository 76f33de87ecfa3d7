"""A gateway in front of an emulated API. It answers some requests by itself, as an ingress or a firewall does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlsplit


class Bare(NamedTuple):
    """An answer of the gateway's own."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Gateway:
    """Passes requests on, except those that it answers itself. Use it as a context manager.

    :param behind: the URL of the API.
    """

    def __init__(self, behind: str) -> None:
        self.refused: list[str] = []
        self.passed: list[str] = []
        self._lock = threading.Lock()
        self._rule: tuple[Callable[[str], object], Bare] | None = None
        gateway, netloc = self, urlsplit(behind).netloc

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = f"{self.command} {self.path} {body.decode()}"
                with gateway._lock:
                    rule = gateway._rule
                    refuses = rule is not None and rule[0](request)
                if rule and refuses:
                    gateway.refused.append(request)
                    status, content_type, content, others = rule[1]
                    headers = [("Content-Type", content_type), *others]
                    if 300 <= status < 400:
                        headers.append(("Location", "http://127.0.0.1:9/login"))
                else:
                    gateway.passed.append(request)
                    onward = HTTPConnection(netloc, timeout=10)
                    onward.request(self.command, self.path, body or None, dict(self.headers))
                    answer = onward.getresponse()
                    status, content = answer.status, answer.read()
                    skipped = ("content-length", "transfer-encoding", "connection", "date", "server")
                    headers = [each for each in answer.getheaders() if each[0].lower() not in skipped]
                    onward.close()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that the class reads

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{urlsplit(behind).path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def refuse(self, pattern: str, answer: Bare) -> None:
        """Answer each request whose method, path and body match the pattern."""
        self._rule = re.compile(pattern).search, answer

    def refuse_some(self, is_due: Callable[[str], bool], answer: Bare) -> None:
        """Answer each request for which ``is_due`` is true. It is asked about one request at a time."""
        self._rule = is_due, answer

    def pass_all(self) -> None:
        """Pass all requests on."""
        self._rule = None

    def __enter__(self) -> Gateway:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
