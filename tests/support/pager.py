"""Somebody's pager: a real HTTP server that keeps what it is posted, and answers what it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Pager(HTTPServer):
    """`answers` are given one after the other, then 200."""

    answers: list[int]
    got: list[dict[str, object]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/page"


class _Answer(BaseHTTPRequestHandler):
    server: Pager

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "/login")
        self.end_headers()

    def do_GET(self) -> None:
        """The login page that a redirect leads to."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


@contextmanager
def paging() -> Iterator[Pager]:
    """A pager as long as the block lasts."""
    with Pager(("127.0.0.1", 0), _Answer) as server:
        server.answers, server.got = [], []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
