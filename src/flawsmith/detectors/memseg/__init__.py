"""MemSeg: a memory of normal images, and a decoder that turns the difference to it into a mask.

Yang, Wu and Feng, "MemSeg: A semi-supervised method for image surface defect detection using differences and commonalities",
Engineering Applications of Artificial Intelligence 119 (2023), arXiv 2205.00908. Unofficial code that published results are made
with: TooTouch/MemSeg (MIT). Where paper and code part, the file that does so says it.
"""
