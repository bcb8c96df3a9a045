"""Widgets of the notebooks: ipywidgets only at the edge, states that are tested with no screen."""
