"""Answers: what people said, kept for good, and what follows from it. Nothing here loads torch.

What follows: ``answer`` (what one is), ``closure`` (what answers imply, and which contradict), ``tally`` (how
much that is), ``snapshot`` (what is known of pairs at one moment). Who is asked: ``questions``. What is kept:
``store`` (the door), ``history`` (which rows count), then how rows lie on the disk: ``sqlite``,
``sqlite_rows``, ``sqlite_schema``, ``witness``, and what is checked before: ``sqlite_door``. ``csv_file``
takes answers elsewhere and back.
"""
