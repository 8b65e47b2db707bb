"""`make stress`: kill, corrupt, race and fuzz the caches for real, count, and write docs/reliability.md."""
