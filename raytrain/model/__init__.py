"""A Keras model outside of a worker: loaded from a run, or on its way between a live process and the workers."""
