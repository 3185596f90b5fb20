"""Sources of rows: read by Ray Data, whatever kind they are, into the source's own order.

Runs in: the driver, and the Ray Data tasks it starts.
"""

from raytrain.data.sources.image_files import number_classes_alike
from raytrain.data.sources.memory_tables import table_of_arrays
from raytrain.data.sources.read_errors import explain
from raytrain.data.sources.read_source import Read, read_source, read_table, rows_per_file

__all__ = [
    "Read",
    "explain",
    "number_classes_alike",
    "read_source",
    "read_table",
    "rows_per_file",
    "table_of_arrays",
]
