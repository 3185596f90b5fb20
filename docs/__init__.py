"""The pages of the documentation, and the programs that write parts of them."""
