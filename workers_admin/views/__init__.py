"""The console's doors: its pages, and one file for each act."""
