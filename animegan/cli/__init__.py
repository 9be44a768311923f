"""The console: commands, the command line and its help."""
