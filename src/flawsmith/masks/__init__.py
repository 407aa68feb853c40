"""Where a defect sits: Perlin noise, shape families, and the foreground that holds them."""
