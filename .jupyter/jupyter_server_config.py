"""Jupyter server of `make lab`: this machine only, with its token, and nothing fetched from anywhere else."""

import os

from jupyter_core.paths import jupyter_runtime_dir

c = get_config()  # noqa: F821 - Jupyter defines it where it reads this file

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.open_browser = False
c.ServerApp.terminals_enabled = False

# Kernels talk through files that only this user can open. A socket's path has at most 107 characters, and
# Windows has none: there the kernels keep to loopback TCP ports.
if os.name == "posix" and len(jupyter_runtime_dir()) <= 50:
    c.KernelManager.transport = "ipc"

# A widget that asks for a script, a style or a picture from another host is refused by the browser.
c.ServerApp.tornado_settings = {
    "headers": {
        "Content-Security-Policy": (
            "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
            "style-src 'self' 'unsafe-inline' blob:; img-src 'self' data: blob:; font-src 'self' data:; "
            "connect-src 'self' ws://127.0.0.1:* data: blob:; worker-src 'self' blob:; "
            "frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
        )
    }
}
