"""Synthetic sets on disk, ours and other tools': which files are one pair of image and mask, and whether they can be used.

One module per layout, each registered in `opening.LAYOUTS`. `open_set` finds the layout of a folder and lists its pairs;
`validate` opens every mask and every header once.
"""
