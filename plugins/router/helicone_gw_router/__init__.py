"""Model strings to ordered targets: a registry of models, strategies, named routes, health."""
