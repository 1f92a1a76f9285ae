"""News of jobs: any process says them, the web listens."""
