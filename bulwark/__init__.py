"""What runs on a person's machine: the `bulwark` command, and the embedded AWS."""
