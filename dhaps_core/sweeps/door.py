"""Who may look at a sweep's dashboard: whoever has the token of the address that the sweep prints.

The first page takes the token from its address and leaves it with the browser as a cookie; every other page,
and the stream of numbers behind it, asks for that. Loads bokeh: imported only where a dashboard is wanted.
"""

import hmac
from collections.abc import Callable
from typing import Any

from bokeh.server.auth_provider import AuthProvider

__all__ = ["Door"]

_COOKIE = "dhaps-dashboard"


class Door(AuthProvider):
    """What bokeh asks before it serves a page."""

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], Any]:
        """Says who sends a request: the owner, or None."""
        return self._user

    @property
    def login_url(self) -> str:
        """Where others are sent; there is nothing, for there is no way in but the address with the token."""
        return "/no-entry"

    def _user(self, handler: Any) -> str | None:
        given = handler.get_argument("token", None)
        if given is not None and self._fits(given):
            handler.set_cookie(_COOKIE, self.token, httponly=True, samesite="Strict")
            return "owner"
        kept = handler.get_cookie(_COOKIE)
        return "owner" if kept is not None and self._fits(kept) else None

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())
