"""From store paths to a server that keeps their closure: closure, plan, engine."""
