"""Sources of rows: read by Ray Data, whatever kind they are, into the source's own order.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from raytrain.driver.sources.explaining import explain
from raytrain.driver.sources.image_files import number_classes_alike
from raytrain.driver.sources.read import Read, read_source, read_table, rows_per_file
from raytrain.driver.sources.tables import table_of_arrays

__all__ = [
    "Read",
    "explain",
    "number_classes_alike",
    "read_source",
    "read_table",
    "rows_per_file",
    "table_of_arrays",
]
