"""What the shipped Jupyter configuration allows: this machine, with the token, and nothing from elsewhere."""

import json
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from lab import Lab

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab():
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.close()
        shutil.rmtree(folder)


def ask(lab, path, token=None, **headers):
    headers |= {"Authorization": f"token {token}"} if token else {}
    request = urllib.request.Request(lab.url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


def test_only_this_machine_can_connect(lab):
    listening = [
        one.laddr.ip
        for one in psutil.Process(lab.process.pid).net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


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
    assert config.get("news", {}).get("disabled", True)
