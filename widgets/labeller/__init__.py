"""Labeller: the card on which a person answers, one key each.

Read ``state`` first: which question is shown, what a press does; all of the card, without a screen. What it
shows is in ``item_view``, ``answer_view``, ``reasons``, ``likely``, ``class_keys`` and ``pace``, and what a
person prefers in ``preferences``; ``labeller`` is the widget, with its .css and several .js.
"""
