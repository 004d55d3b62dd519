"""SQL migrations, run in the order of their numbers; a landed one is never edited."""
