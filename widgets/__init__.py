"""Widgets of the notebooks: ipywidgets only at the edge, and states that are tested with no screen.

Read ``workbench`` first: it has the run in use (``run_names`` says in which folder), its work in the
``background``, and tells the cards what has changed. A card asks the run's session for everything, and no
file of the run. ``stepper`` (with ``choices``) runs rounds, ``labeller`` asks, ``answers`` lists what was
said, ``explore`` looks, ``cockpit`` is most of it in one cell, ``many`` names many items in one step,
``sweep`` follows a grid. ``card``, ``shield``, ``pictures``, ``captions`` and ``progress`` are what cards
share; ``bar`` and ``sentences`` are for notebooks. ``figures`` draws finished rounds, ``ranking_figure``
whole rankings, ``plot`` shows them. ``lessons`` is by itself: what teaching notebooks show, ask and check.
"""
