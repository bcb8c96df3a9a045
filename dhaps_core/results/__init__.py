"""Results: finished runs read, compared and laid out as tables.

Read ``runs`` first, then ``compare`` and ``tables``.
"""
