"""Many: items named together, each of them shown before it counts.

Read ``state`` first: what was gathered, what is shown, what counts; all of it without a screen. ``sheet`` is
the widget, with its .css and .js; the cockpit lays it over the card, and its map and neighbours gather.
"""
