"""Reading the world: layouts, splits, checks."""
