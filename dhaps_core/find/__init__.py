"""Find: what a run leaves for tomorrow, one folder that embeds, encodes and searches without the run.

Read ``parts`` first (which files the folder has, and how they are known to belong together), then ``keep``
(what a finished round writes), ``queries`` (new images as the rows that the network reads), ``rerank`` (a
shortlist by the floats behind the codes) and ``loaded`` (the folder, opened). ``compare`` measures what a
searcher sees; ``sheet`` shows it. ``python -m dhaps_core.find FOLDER IMAGE...`` searches from a shell.
"""
