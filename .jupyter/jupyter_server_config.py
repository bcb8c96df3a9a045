"""Jupyter server of `make lab`: this machine only, with its token, and nothing fetched from anywhere else."""

import os

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.auth import PasswordIdentityProvider
from traitlets import validate

c = get_config()  # noqa: F821 - Jupyter defines it where it reads this file

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.open_browser = False
c.ServerApp.terminals_enabled = False

c.ServerApp.allow_origin = ""
c.ServerApp.allow_origin_pat = ""
c.ServerApp.allow_remote_access = False
c.ServerApp.allow_unauthenticated_access = False
c.ServerApp.disable_check_xsrf = False


class AlwaysAsks(PasswordIdentityProvider):
    """A token even where a person's own configuration has switched it off for every server."""

    @validate("token")
    def _some_token(self, proposal):
        return proposal.value or self._token_default()


c.ServerApp.identity_provider_class = AlwaysAsks

# Kernels talk through files that only this user can open. A socket's path has at most 107 characters, and
# Windows has none: there they talk over loopback, where any user of the machine can connect, so encrypted and
# only to who has the key. A kernel that cannot do that is not started.
if os.name == "posix" and len(os.fsencode(jupyter_runtime_dir())) <= 50:
    c.KernelManager.transport = "ipc"
else:
    c.KernelManager.transport = "tcp"
    c.KernelManager.ip = "127.0.0.1"
    c.KernelManager.transport_encryption = "required"

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
