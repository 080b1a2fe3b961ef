"""What people touch: the command line. Reads the warehouse, starts jobs by name."""
