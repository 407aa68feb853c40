"""Frozen backbones: `hub.build_encoder` makes them by name."""
