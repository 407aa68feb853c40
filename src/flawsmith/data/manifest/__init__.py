"""Lists of images: a CSV, Parquet or JSON Lines file with one row per image (docs/manifest.md)."""
