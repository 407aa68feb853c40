"""What a defect looks like: textures and photometry."""
