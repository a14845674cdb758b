"""The example with `curl` ends where it is refused, and goes on where intake has no room."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import which
from threading import Thread

import pytest

SCRIPT = Path(__file__).parents[3] / "docs" / "consumers" / "department.sh"
REFUSED, BUSY, TAKEN = (403, b'{"code":"no"}'), (503, b'{"code":"later"}'), (202, b'{"act_id":"1"}')


@contextmanager
def intake(answers: list[tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """Answer one request after another, the last for ever; yield the address and the keys seen."""
    seen: list[str] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answers[min(len(seen), len(answers) - 1)]
            seen.append(self.headers["Idempotency-Key"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(which("curl") is None, reason="no curl on PATH")
@pytest.mark.parametrize(
    ("answers", "ends_well", "asked"), [([REFUSED], False, 1), ([BUSY, TAKEN], True, 2)]
)
def test_a_report_in_is_tried_again_only_where_that_helps(
    answers: list[tuple[int, bytes]], *, ends_well: bool, asked: int
) -> None:
    with intake(answers) as (url, seen):
        env = {"INTAKE": url, "ROUTING": url, "DEPARTMENT": "police", "TOKEN": "t", "KEY": "k"}
        ran = subprocess.run(  # noqa: S603 - our own script
            ["/bin/sh", str(SCRIPT), "report-in", "c", "w"],
            env={**os.environ, **env, "no_proxy": "127.0.0.1"},
            stdout=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    assert ((ran.returncode == 0), len(seen), ran.stdout) == (ends_well, asked, answers[-1][1])
    assert set(seen) == {"in-w"}
