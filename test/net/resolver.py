#!/usr/bin/env python3
"""resolver.py PORT - knows one name, one.test (10.1.2.3), and no other."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    q, who = s.recvfrom(2000)
    known = q[12:].lower().startswith(b"\x03one\x04test\x00\x00\x01")
    head = q[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + (
        b"\0\1" if known else b"\0\0") + b"\0\0\0\0"
    end = 12
    while q[end]:
        end += q[end] + 1
    body = q[12:end + 5]
    if known:
        body += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3"
    s.sendto(head + body, who)
