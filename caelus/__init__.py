"""Caelus: instances of web apps for users, on a small Kubernetes, by Helm."""

__version__ = "0.1.0"
