"""Every attack, in the order of the page."""

from . import (
    damaged_files,
    damaged_sweeps,
    full_disk,
    kills,
    many_sessions_end,
    one_store,
    public_functions,
    readers,
    stores,
    surroundings,
    sweep_kills,
    two_sessions,
)

__all__ = ["ATTACKS"]

ATTACKS = (
    kills.ATTACK,
    sweep_kills.ATTACK,
    two_sessions.ATTACK,
    one_store.ATTACK,
    full_disk.ATTACK,
    damaged_files.ATTACK,
    damaged_sweeps.ATTACK,
    stores.ATTACK,
    many_sessions_end.ATTACK,
    surroundings.ATTACK,
    readers.ATTACK,
    public_functions.ATTACK,
)
