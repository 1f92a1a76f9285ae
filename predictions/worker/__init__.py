"""What only a worker's process does: torch is imported in here and nowhere else."""
