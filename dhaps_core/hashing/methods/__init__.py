"""Published hashing methods: one file each, a loss and its defaults, on the one training loop."""
