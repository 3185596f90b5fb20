"""The job spec: its schema, its strict YAML, its overrides, and the arithmetic that follows from it.

Everything here is light: it imports neither ray, tensorflow, keras, numpy nor pandas.
"""
