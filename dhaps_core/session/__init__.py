"""Session: a run in a folder; the only door to it for notebooks and widgets.

What a run is made of: ``settings`` (and ``presets``, sets of them under one name); ``errors`` (what it
refuses); ``folder`` (its files, and who owns them); ``rounds`` and ``proposals`` (what is kept of a round);
``model`` and ``picking`` (what learns, what chooses); ``groups`` (what pair answers have found), ``doubts``
and ``placing`` (the pair to ask next), ``worth`` (or the class of one of its items); ``opening``.
Then the session, each file upon the one before: ``run`` (what it knows; which answers count: ``labels``),
``asking`` (picks, questions, whose they are), ``meanwhile`` (questions while a round is trained),
``answering`` (answers, undo, oracles), ``relabelling`` (many at once), ``active`` (training, the door).
``evaluation``, ``self_test`` (what the answers say of the model, told in an ``outlook``) and ``export`` are
what it calls at the end of a round and of a run. ``collection`` tells how the items have changed.
"""
