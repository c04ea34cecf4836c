"""The Django project: wiring only, no features."""
