"""The command line: one verb a file, one error boundary, one place that prints.

Nothing but `raytrain.__main__` imports it, so it may set up its process: start-up allocates classes and functions, none
of them garbage, and looking for some now and then takes a tenth of the time of `raytrain validate`.
"""

import gc

gc.set_threshold(100_000, 20, 100)
