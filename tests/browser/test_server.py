"""What the shipped Jupyter configuration allows: this machine, with the token, and nothing from elsewhere."""

import json
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import zmq
from jupyter_client import BlockingKernelClient, KernelManager

from tests.browser.lab import Lab

pytestmark = pytest.mark.slow
SECRET = "print('what was labelled')"


LONG = "a home directory so long that a socket's path has no room"
OPEN = """\
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.allow_remote_access = True
c.ServerApp.allow_origin = "*"
c.ServerApp.disable_check_xsrf = True
c.IdentityProvider.token = ""
c.KernelManager.transport_encryption = "disabled"
c.KernelManager.ip = "0.0.0.0"
"""


@pytest.fixture(scope="module", params=[("lab", ""), (LONG, OPEN)], ids=["usual", "long and open"])
def lab(request):
    prefix, config = request.param
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    lab = Lab(folder, config)
    try:
        yield lab
    finally:
        lab.close()
        shutil.rmtree(folder)


def ask(lab, path, token=None, data=None, **headers):
    headers |= {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(lab.url + path, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


def listening(process):
    """Addresses where a process and its children take connections from the network."""
    family = [process, *process.children(recursive=True)]
    found = []
    for each in family:
        with suppress(psutil.NoSuchProcess):  # a child that has ended meanwhile listens nowhere
            found += each.net_connections("inet")
    return [one.laddr for one in found if one.status == psutil.CONN_LISTEN]


def overheard(address, run):
    """Whether a stranger who subscribes to everything at an address gets anything while something runs."""
    with zmq.Context() as context, context.socket(zmq.SUB) as ear:
        ear.linger = 0
        ear.subscribe(b"")
        ear.connect(address)
        ear.poll(500)
        run()
        return bool(ear.poll(1000))


def say(connection):
    client = BlockingKernelClient(connection_file=str(connection))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    said = []
    client.execute_interactive(SECRET, timeout=60, output_hook=said.append)
    client.stop_channels()
    assert "what was labelled\n" in [one["content"].get("text") for one in said]
    return client


def test_only_this_machine_can_connect(lab):
    assert {address.ip for address in listening(psutil.Process(lab.process.pid))} == {"127.0.0.1"}


def test_nobody_else_hears_what_a_kernel_says(lab):
    status, _, answer = ask(lab, "api/kernels", lab.token, data=b'{"name": "python3"}')
    assert status == 201
    connection = lab.folder / "r" / f"kernel-{json.loads(answer)['id']}.json"
    client = say(connection)
    assert connection.stat().st_mode & 0o077 == 0
    ports = {address.port for address in listening(psutil.Process(lab.process.pid))}
    if client.transport == "ipc":
        sockets = list(connection.parent.glob(f"{connection.stem}-ipc-*"))
        assert sockets
        assert all(path.stat().st_mode & 0o022 == 0 for path in sockets)  # to connect is to write
    else:
        assert {client.shell_port, client.iopub_port, client.control_port} <= ports
    for port in ports:  # one more of every kernel takes what processes forked from it print
        assert not overheard(f"tcp://127.0.0.1:{port}", lambda: say(connection))


def test_a_kernel_as_jupyter_starts_it_would_be_overheard():
    manager = KernelManager()
    manager.start_kernel()
    try:
        address = f"tcp://127.0.0.1:{manager.iopub_port}"
        assert overheard(address, lambda: say(manager.connection_file))
    finally:
        manager.shutdown_kernel(now=True)


def test_the_token_is_needed_and_foreign_names_are_refused(lab):
    assert ask(lab, "api/contents")[0] == 403
    assert ask(lab, "api/contents", lab.token)[0] == 200
    assert ask(lab, "api/contents", lab.token, Host="example.org")[0] == 403
    assert lab.token not in (lab.folder / "server.log").read_text()


def test_pages_may_load_nothing_from_elsewhere_and_there_is_no_terminal(lab):
    status, headers, page = ask(lab, "lab", lab.token)
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert not re.search(r"https?://(?!127\.0\.0\.1)", policy)
    assert ask(lab, "api/terminals", lab.token)[0] == 404
    config = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    disabled = config["disabledExtensions"]
    assert "@jupyterlab/apputils-extension:announcements" in disabled
    assert "@jupyterlab/extensionmanager-extension" in disabled
    assert "@jupyterlab/debugger-extension" in disabled  # it would listen on a port that asks nobody
    assert config.get("news", {}).get("disabled", True)
