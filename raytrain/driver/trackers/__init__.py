"""Tells trackers of a run, in a process beside the driver that reads the run's event log: one file a tracker.

`python -m raytrain.driver.trackers DIRECTORY` tells them what they missed of a run that has ended.
"""
