"""Hashing: from features or pixels to codes. One network, one training loop, ``methods`` of one file each.

Read ``network`` (outputs, codes, encoding), ``methods.base`` and a method such as ``methods.dpsh``, then
``training``, its ``shared_terms`` and ``training_settings``, and what it reads of the answers,
``supervision``. What networks read is in ``inputs``, what learns from images in ``image_networks`` (``stage``
keeps what their lower layers make of them), what a method looks at beside its batches in ``training_set``.
What a few answers foretell: ``foretelling`` by ``neighbours`` and ``kernel_ridge``, as a layer in
``foreteller``; before any answer ``affinity``. Methods share ``quantisation``. Before a run: ``backbones``
embed images (``embed``; ``kept_rows`` are by the content of each), and their main directions (``projection``)
become its features (``encoder``). What a network is built from is its ``plan``; ``weights`` keeps what it
learned.
"""
