"""What makes the answer of N workers that of one: Keras mended, steps, losses and metrics over the global batch."""
