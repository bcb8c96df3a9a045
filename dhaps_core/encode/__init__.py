"""Encode: a folder of any number of images as codes, by Dask workers, with the result of a run.

Read ``shards`` first (which images are encoded together, and what is kept of them), then ``__main__`` (who
encodes them, and the index of all). ``python -m dhaps_core.encode RESULT IMAGES --out FOLDER``.
"""
