"""The spec's `preprocess` steps: what each learns from the train rows, and what it does to any row.

Runs in: the driver, and the Ray Data tasks it starts.

They give the numbers of Ray Data's preprocessors of the same names, which tests hold them to. They are not those
classes: these take vectors too, learn the same from rows however they are cut into blocks, start no Ray Data job for a
small table, and refuse by name what those turn into NaN or zeros: values that train does not have.
"""
