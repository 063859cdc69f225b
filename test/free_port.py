#!/usr/bin/env python3
"""free_port.py - a TCP port of 127.0.0.1 that nobody has.

It is below those that the kernel gives out by itself, so that no connection of the
machine takes it before the one who asked does.
"""
import random
import socket


def free_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        below = int(f.read().split()[0])
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.randrange(10000, below) if below > 20000 else 0))
                return s.getsockname()[1]
            except OSError:
                pass            # somebody's


if __name__ == "__main__":
    print(free_port())
