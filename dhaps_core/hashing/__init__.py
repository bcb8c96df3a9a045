"""Hashing: from features or pixels to codes. One network, one training loop, one file for each method.

Read ``network`` first, then ``methods.base`` and a method, then ``training``.
"""
