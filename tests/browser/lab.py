"""A real JupyterLab on loopback and a real Chromium that drives it, for the browser tests and screenshots."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def missing():
    """What the browser tests need and this machine lacks, or None."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed: pip install 'dhaps[dev]'"
    if chromium() is None:
        return "no Chromium on the PATH: install your system's chromium package"
    return None


def chromium():
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Lab:
    """JupyterLab with the shipped configuration and everything else of its own in one folder.

    Args:
        folder: there, and empty.
        config: text of a person's own jupyter_server_config.py.

    Attributes:
        url: ``http://127.0.0.1:PORT/``.
        token: secret of this server.
        project: copy of the notebooks that it serves.
    """

    def __init__(self, folder, config=""):
        self.folder = folder
        self.project = folder / "project"
        shutil.copytree(
            ROOT / "notebooks",
            self.project / "notebooks",
            ignore=shutil.ignore_patterns(".ipynb_checkpoints"),
        )
        self.token = secrets.token_hex(24)
        own = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "r",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "MPLCONFIGDIR": "matplotlib",
        }
        for name in own.values():
            (folder / name).mkdir()
        (folder / "config" / "jupyter_server_config.py").write_text(config)
        environment = {
            **os.environ,
            **{name: str(folder / below) for name, below in own.items()},
            "MALLOC_ARENA_MAX": "2",  # as `make lab` has it
            "JUPYTER_TOKEN": self.token,  # not on the command line, where ps shows it
            "JUPYTER_CONFIG_PATH": str(ROOT / ".jupyter"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--ServerApp.port=0",
            f"--ServerApp.root_dir={self.project}",
        ]
        command += ["--LabApp.expose_app_in_browser=True"] + (["--allow-root"] if os.geteuid() == 0 else [])
        self.log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            command, env=environment, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.url = self._wait()

    def _wait(self):
        state = self.folder / "r" / f"jpserver-{self.process.pid}.json"
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "server.log").read_text())
            try:
                port = json.loads(state.read_text())["port"]
                url = f"http://127.0.0.1:{port}/"
                urllib.request.urlopen(f"{url}api/status?token={self.token}", timeout=5)
            except (OSError, ValueError):
                time.sleep(0.1)
            else:
                return url
        raise RuntimeError("JupyterLab did not start within 60 s")

    def set_parameters(self, name, **parameters):
        """Write parameters into the copy of a notebook, as a person would."""
        path = self.project / "notebooks" / name
        notebook = json.loads(path.read_text())
        cell = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
        cell["source"] = "".join(cell["source"]) + "".join(f"\n{k} = {v!r}" for k, v in parameters.items())
        path.write_text(json.dumps(notebook))

    def write_notebook(self, name, *cells):
        """A notebook of some code cells beside the shipped ones."""
        notebook = json.loads((self.project / "notebooks" / "00_quickstart.ipynb").read_text())
        notebook["cells"] = [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": cell,
            }
            for i, cell in enumerate(cells)
        ]
        (self.project / "notebooks" / name).write_text(json.dumps(notebook))

    def kernel_pids(self):
        """Process ids of the kernels of this server."""
        import psutil

        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in children if any("ipykernel" in part for part in child.cmdline())]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()


@contextmanager
def browser_page(width=1280, height=1000, scale=1):
    """A page of a fresh headless Chromium, with so many device pixels for each CSS pixel."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS.split())
        try:
            yield browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
        finally:
            browser.close()


class Notebook:
    """A notebook open in JupyterLab, and everything the browser said meanwhile.

    Attributes:
        page: Playwright's page.
        requests: addresses that the browser asked for.
        errors: console errors and uncaught exceptions.
        card: the labelling card.
    """

    def __init__(self, lab, page, name):
        self.lab, self.page = lab, page
        self.requests, self.errors = [], []
        page.set_default_timeout(90_000)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        address = f"{lab.url}lab/tree/notebooks/{name}?reset&token={lab.token}"
        page.goto(address, wait_until="domcontentloaded")
        self.card = page.locator(".dhaps-labeller")
        self.wait_idle()

    def _console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def wait_idle(self):
        """Wait for a kernel that is idle; the idle mark alone is there for a moment before one exists."""
        self.page.locator(".jp-NotebookPanel").wait_for()
        status = self.page.locator("#jp-main-statusbar")
        status.filter(has_text=re.compile(r"(?<!No Kernel) \| Idle")).wait_for()

    def command(self, name):
        """Run a command of JupyterLab and wait for its end."""
        self.page.evaluate(f"jupyterapp.commands.execute('{name}')")

    def run_all(self):
        """Run every cell and wait until the labelling card shows something."""
        self.command("notebook:run-all-cells")
        self.page.locator('.dhaps-labeller[data-ready="1"]').wait_for()

    def cells(self):
        """Number of cells."""
        return self.page.evaluate("jupyterapp.shell.currentWidget.content.model.cells.length")

    def turn(self):
        """Number of the question on the screen."""
        return self.card.get_attribute("data-turn")

    def step(self, act):
        """Do something that brings another question, and wait until that is on the screen."""
        before = self.turn()
        self.page.wait_for_timeout(220)  # the card takes no press before anybody can have looked
        act()
        self.page.wait_for_function(
            "turn => document.querySelector('.dhaps-labeller').dataset.turn !== turn", arg=before
        )

    def press(self, key):
        """Press a key on the card and wait for the next question."""
        self.step(lambda: self.page.keyboard.press(key))

    def click(self, name):
        """Click a button of the card and wait for the next question."""
        self.step(self.card.get_by_role("button", name=name).first.click)

    def shown(self):
        """Keys of the items on the card."""
        return self.card.locator(".dhaps-pair .dhaps-key").all_text_contents()
