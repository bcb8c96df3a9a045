"""What tests of the labelling card share."""


def press(card, do, **more):
    """What the browser sends for a key, about the question that the card shows."""
    card._heard(card, {"do": do, "turn": card.view["turn"], **more}, [])
