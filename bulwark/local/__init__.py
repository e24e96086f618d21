"""The embedded AWS: the real template, state machines, rules and handlers on one machine, with no account."""
