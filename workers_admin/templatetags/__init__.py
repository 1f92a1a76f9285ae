"""Words that only the console uses."""
