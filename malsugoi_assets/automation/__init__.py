"""When things run: partitions, jobs, sensors, schedules."""
