"""Lessons: what the teaching notebooks 11 to 13 show, ask and check.

Read ``material`` first (a few digits with short codes), then ``agreeing`` (a number by hand beside the one of
the core) and ``exercises``. ``showing`` puts figures and sliders on the page, ``lecture`` hides the code.
Figures: ``code_figures``, ``pair_figures`` and ``discrepancy_figure`` of notebook 11; ``choice_figures``,
``certificate_figure`` and ``closure_figure`` of 12; ``ranking_figures``, ``balls_figure`` and ``few_answers``
of 13. All are made of ``thumbnails``. Nothing here knows a formula that the core has not.
"""
