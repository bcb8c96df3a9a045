"""Explore: the chosen pairs of a run and its codes, looked at.

Read ``layout`` first (which pairs were chosen, what is known of them, where their items lie; the mathematics
of that is in ``places``), then the cards ``pair_map``, ``gallery`` and ``neighbours``, the last two made of
``tiles``. All of them ask the session; none opens a file of the run.
"""
