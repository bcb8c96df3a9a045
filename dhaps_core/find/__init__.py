"""Find: what a run leaves for tomorrow, one folder that embeds, encodes and searches without the run.

Read ``parts`` first (which files the folder has, and how they are known to belong together), then ``keep``
(what a finished round writes; ``pictures`` and ``readme`` are two parts of it), ``queries`` (new images as
the rows that the network reads), ``network`` (built again), ``rerank`` (a shortlist by the floats behind the
codes) and ``loaded`` (the folder, opened). New items: ``adding`` them, and ``added`` ones that stay.
``compare`` measures what a searcher sees; ``sheet`` shows it. ``python -m dhaps_core.find FOLDER IMAGE...``
searches from a shell.
"""
