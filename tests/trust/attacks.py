"""Every attack, in the order of the page."""

from . import damaged_files, full_disk, kills, one_store, stores, surroundings, two_sessions

__all__ = ["ATTACKS"]

ATTACKS = (
    kills.ATTACK,
    two_sessions.ATTACK,
    one_store.ATTACK,
    damaged_files.ATTACK,
    stores.ATTACK,
    full_disk.ATTACK,
    surroundings.ATTACK,
)
