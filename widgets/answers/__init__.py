"""Answers: every answer that counts, listed, filtered, changed and taken back; classes renamed and merged.

``state`` is what the panel shows and does, without a screen; ``panel`` is the panel.
"""
