"""What is measured, one file a question; each gives the runs of both sides."""
