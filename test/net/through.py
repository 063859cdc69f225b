#!/usr/bin/env python3
"""through.py ADDRESS PORT N - sends N bytes to a server that echoes, and compares."""
import socket
import sys
import threading

data = bytes(i * 7 % 251 for i in range(int(sys.argv[3])))
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 300)


def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)


threading.Thread(target=send).start()
got = bytearray()
while part := s.recv(10000):
    got += part
print("all of it" if got == data else "%d bytes differ" % len(got))
