"""Samples, requests, seeds, priors, the registry, recipes, errors and progress: what every layer speaks."""
