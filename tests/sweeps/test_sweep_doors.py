"""What a sweep listens on, and who is let in; what becomes of it if its files are edited meanwhile."""

import asyncio
import json
import re
import socket
import ssl
from collections import Counter
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

import distributed
import psutil
import pytest
from bokeh.util.token import generate_jwt_token
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.sweep import SweepError, main, sweep
from tests.given import CODE, write_grid, write_notebook
from tests.sweeps.test_sweep import end, lines, start, until

PAGES = ("/", "/status", "/info/main/workers.html", "/json/counts.json", "/metrics", "/health")
GRID = "every: {log: ./log}\nblocks:\n  slow: {seed: 0, sleep: 6.0}\n  fast: {seed: 1}\n"
ODD = "a {c} {connection_file} 'q\" %s $HOME é\n\\n -x"


def listening(process):
    """Ports that a process and all below it listen on; none of them outside the loopback address."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    found = [c.laddr for one in family for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in found} == {"127.0.0.1"}
    return [address.port for address in found]


def who_is_asked(port):
    """How a port receives a stranger."""
    # As ZeroMQ greets; it hangs up on whoever offers another mechanism, and now and then on any.
    with suppress(TimeoutError):
        for mechanism in (b"CURVE", b"NULL") * 3:
            with (
                suppress(ConnectionResetError),
                socket.create_connection(("127.0.0.1", port), timeout=0.5) as plain,
            ):
                greeting = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0" + mechanism.ljust(20, b"\0") + b"\0" * 32
                plain.sendall(greeting)
                if plain.recv(64, socket.MSG_WAITALL)[12:32].rstrip(b"\0") == mechanism:
                    return mechanism.decode()
    with suppress(HTTPException, ConnectionResetError):
        return f"HTTP { {http_status(port, path) for path in PAGES} }"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as secure,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        secure.recv(1)
    return "TLS with a certificate"


def http_status(port, path, headers=None, hidden="no text has this"):
    """Status of a page, in which nothing that is to be hidden stands."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        assert hidden not in f"{answer.headers}{answer.read()!r}"
    finally:
        connection.close()
    return answer.status


@pytest.mark.slow
def test_nobody_but_the_sweep_is_let_in_and_what_runs_is_what_was_read(tmp_path):
    path, out = write_grid(tmp_path, GRID), tmp_path / ODD
    grid, text = read_grid(path), path.read_text()
    process = start(path, out, "--workers", "1")
    until(lambda: len(lines(tmp_path, "start")) == 1)
    # Another notebook and another grid, before the second run begins.
    write_notebook(tmp_path / "tiny.ipynb", code=CODE.replace("2**40", "2**50"))
    path.write_text(text.replace("  fast: {seed: 1}\n", ""))

    ports = {port: who_is_asked(port) for port in listening(process)}
    kinds = Counter(ports.values())
    assert kinds.pop("TLS with a certificate") == 3  # a scheduler, a worker, its nanny
    assert kinds.pop("CURVE") == 5
    assert kinds.pop("HTTP {404}") == 2  # which serves nothing
    # A kernel takes what its children print here, if it begins with a secret, and says nothing.
    assert kinds == {"NULL": 1}
    port = next(port for port, answer in ports.items() if answer.startswith("TLS"))
    for stranger in (
        {"address": f"tcp://127.0.0.1:{port}"},
        {"address": f"tls://127.0.0.1:{port}", "security": distributed.Security.temporary()},
    ):
        with pytest.raises(OSError, match=r"closed|[Tt]imed out|TLS certificate does not match"):
            distributed.Client(**stranger, timeout="300ms", set_as_default=False)

    status, output = end(process)
    assert status == 0, output
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["grid"]["text"] == text
    assert manifest["notebook"]["code"] == grid.notebook.code
    [copy] = (out / "notebooks").iterdir()
    assert copy.read_text() == grid.notebook.content
    assert len(manifest["runs"]) == 2
    for run in manifest["runs"]:
        assert (run["code"], run["copy"]) == (grid.notebook.code, f"notebooks/{copy.name}")
        assert "2**40" in (out / run["notebook"]).read_text()

    # Given again, the same command goes by the files as they are now, and says so.
    status, output = end(start(path, out, "--workers", "1"))
    assert status == 0, output
    assert "1 of the finished runs come from another version of tiny.ipynb" in output


async def first_message(port, headers):
    """What the stream behind a page says first to a client that makes up its session; None if it hangs up."""
    request = HTTPRequest(
        f"ws://127.0.0.1:{port}/status/ws",
        headers={"Sec-WebSocket-Protocol": f"bokeh, {generate_jwt_token('made-up')}", **headers},
    )
    stream = await websocket_connect(request)
    message = await stream.read_message()
    while message is not None and "ACK" not in message:
        message = await stream.read_message()
    stream.close()
    return message


@pytest.mark.slow
def test_the_dashboard_asks_for_the_token_that_the_sweep_prints(tmp_path):
    grid = write_grid(tmp_path, "every: {sleep: 3.0, log: ./log}\n")
    process = start(grid, tmp_path / "out", "--workers", "1", "--dashboard")
    address = next(line for line in process.stdout if line.startswith("dashboard: ")).split()[1]
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/status\?token=(\S{43})", address).groups()
    with urlopen(address, timeout=30) as page:
        assert page.status == 200
        cookie = page.headers["Set-Cookie"].split(";")[0]

    def status(path, headers=None):
        return http_status(int(port), path, headers, hidden=token)

    assert status("/graph", {"Cookie": cookie}) == 200
    closed = [
        "/status",
        "/graph",
        "/status?token=x",
        "/status/metadata",
        "/info/main/workers.html",
        "/metrics",
    ]
    assert {status(path) for path in closed} <= {302, 404}
    assert status("/no-entry") == 404
    status("/sitemap.json")  # does not say the token either
    assert asyncio.run(first_message(port, {})) is None
    assert '"ACK"' in asyncio.run(first_message(port, {"Cookie": cookie}))
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://127.0.0.1:{port}/status", timeout=30)
    assert set(listening(process)) >= {int(port)}
    status_, output = end(process)
    assert status_ == 0, output


def test_a_folder_whose_name_is_no_text_is_refused_at_once(tmp_path):
    grid = read_grid(write_grid(tmp_path, "every: {seed: 1}\n"))
    with pytest.raises(SweepError, match="the folder must have a name in UTF-8"):
        sweep(grid, tmp_path / "a\udcff")


def test_an_empty_folder_is_refused_and_not_the_working_directory(tmp_path, monkeypatch, capsys):
    path = write_grid(tmp_path, "every: {seed: 1}\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ValueError, match="a path must be text or a Path; got ''"):
        sweep(read_grid(path), "")
    with pytest.raises(SystemExit):
        main([str(path), "--out", ""])
    assert "argument --out: invalid" in capsys.readouterr().err
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize("workers", [0, -1])
def test_a_sweep_without_workers_is_refused_and_makes_nothing(tmp_path, workers):
    grid = read_grid(write_grid(tmp_path, "every: {seed: 1}\n"))
    with pytest.raises(SweepError, match="workers must be at least 1"):
        sweep(grid, tmp_path / "out", workers=workers)
    assert not (tmp_path / "out").exists()


def test_a_damaged_run_is_not_run_again_and_ends_the_sweep_with_a_word(tmp_path, capsys):
    path, out = write_grid(tmp_path, "every: {seed: [0, 1], log: ./log}\n"), tmp_path / "out"
    damaged, whole = (out / cell.run for cell in read_grid(path).cells)
    for folder in (damaged, whole):
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text('{"mAP": 0.5}')
        (folder / "run.json").write_text('{"state": "finished"}')
    (damaged / "run.json").write_text("")
    (out / "notebooks").mkdir()
    leftovers = [out / "table.csv.99999999-0123abcd.new", out / "notebooks" / "x.ipynb.99999999-0123abcd.new"]
    for leftover in leftovers:
        leftover.write_text("half")
    assert main([str(path), "--out", str(out), "--workers", "1"]) == 1
    said = capsys.readouterr().out
    assert "2 runs, 1 of them finished before" in said
    assert "WARNING: the files of 1 runs are damaged; these are not run" in said
    assert f"damaged: {damaged / 'run.json'} must hold one JSON object; got an empty file" in said
    assert "1 of 2 runs finished" in said
    assert (tmp_path / "log").read_text() == ""
    assert not any(leftover.exists() for leftover in leftovers)
