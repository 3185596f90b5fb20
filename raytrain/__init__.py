"""One command from a Keras model to a fast, exact, fault-tolerant run on a Ray cluster."""

__version__ = "0.2.0"
