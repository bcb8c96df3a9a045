"""Labeller: the card on which a person answers, one key each. ``state`` is all of it without a screen."""
