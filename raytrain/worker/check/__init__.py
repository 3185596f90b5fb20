"""The processes of a check: one that reads the rows, plain Keras, and workers; on one machine, without Ray Train."""
