"""The doors of the pages about jobs; each module is named for the page or the act it serves."""
