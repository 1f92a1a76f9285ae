"""How fast the console is beside a long history, and how soon it tells what happened; Flower beside it."""
