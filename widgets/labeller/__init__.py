"""Labeller: the card on which a person answers, one key each.

Read ``state`` first: which question is shown, what a press does; all of the card, without a screen. What it
shows is in ``item_view``, ``reasons`` and ``class_keys``; ``labeller`` is the widget, with its .js and .css.
"""
