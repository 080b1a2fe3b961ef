"""The few things with a life of their own: the source, the warehouse, the compute device."""
