"""Cockpit: everything that a person looks at while labelling, in one cell.

``cockpit`` lays out the parts: the labelling card, the controls of the run, the map, the curves, and in
``near`` the neighbours of the two items that the card shows. The parts are those of the other rooms; what is
here is where they stand, and that keys and focus are those of the card wherever one clicks.
"""
