"""What runs inside a desktop, by the system's own Python: the standard library only, and nothing else of this package.

One process starts the display and its services, looks at what programs show, and moves mouse and keyboard. It is sent
texts and answers them as a shell would (lbi.sandbox.supervisor.shell). Its own D-Bus and X11 are a few hundred lines,
as the libraries take longer to load than a whole desktop to start, and ask one thing after the other.
"""
