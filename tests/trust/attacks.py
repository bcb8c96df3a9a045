"""Every attack, in the order of the page."""

from . import kills

__all__ = ["ATTACKS"]

ATTACKS = (kills.ATTACK,)
