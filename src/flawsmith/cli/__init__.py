"""The command line: parse, call, show. One file per command group; heavy imports wait until a command runs."""
