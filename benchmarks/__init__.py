"""Measurements: speed as a ratio to a reference in the same run, and accuracy on data that the page names."""
