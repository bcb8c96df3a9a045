"""Sweep: many runs started, followed and stopped from a notebook, in a process that outlives its kernel.

Read ``state`` first (the process, and where it stands), then ``panel`` (its buttons and its log).
"""
