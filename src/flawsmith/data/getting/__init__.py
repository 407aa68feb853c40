"""Getting published data sets: where each is at home, under which licence, and the download where there is a plain one.

Nothing here runs by itself; only `flawsmith data get` (and `getting.get.get`) reaches for the network.
"""
