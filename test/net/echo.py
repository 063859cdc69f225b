#!/usr/bin/env python3
"""echo.py ADDRESS - a server that says its port and sends back what it gets."""
import socket
import sys

listener = socket.create_server((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
while True:
    s, _ = listener.accept()
    while part := s.recv(10000):
        s.sendall(part)
    s.close()
