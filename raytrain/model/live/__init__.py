"""A model on its way between a live process, such as a notebook, and the workers, and back: for `raytrain.fit`."""
