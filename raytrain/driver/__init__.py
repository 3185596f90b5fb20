"""The job's entrypoint on the cluster: it reads the data, runs the trainer, collects the events, decides on attempts.

Runs in: the driver process of the Ray job. Imports no TensorFlow.
"""
