"""The signatures of all commands, one file a heading of `lbi --help`: arguments -> a function of lbi.cli."""
