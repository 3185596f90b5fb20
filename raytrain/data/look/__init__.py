"""A look at a job's data on the user's machine, without a cluster: `python -m raytrain.data.look`."""
