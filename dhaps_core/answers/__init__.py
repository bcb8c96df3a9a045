"""Answers: what people said, kept for good, and what follows from it. Nothing here loads torch.

Read ``answer`` first, then ``closure`` and ``snapshot`` (what follows), then ``history`` and
``store`` (what is kept).
"""
