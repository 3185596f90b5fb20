"""Where rows are kept between epochs, and how each worker gets its own: shared, sharded or streaming."""
