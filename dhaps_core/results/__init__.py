"""Results: finished runs read, compared and laid out as tables.

Read ``runs`` first (what a finished run is), then ``compare`` (curves and differences over the seeds) and
``tables``. ``efficiency`` is a study of many strategies and budgets, ``efficiency_report`` its tables.
``python -m dhaps_core.results FOLDER`` prints the rounds of all runs below a folder.
"""
