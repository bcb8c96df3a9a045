"""Session: a run in a folder; the only door to it for notebooks and widgets.

Read ``active`` first (propose, answer, train), then ``settings`` and ``folder``.
"""
