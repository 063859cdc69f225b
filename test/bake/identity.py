#!/usr/bin/env python3
"""identity.py CLONES IMAGE DIR MODE... - starts so many copies in turn, each on
the network in the next of the modes, and writes a line for each: what the copy
says that it is (bake_app:identity/0), and the sequence number and the hardware
address that it answers a connection with, as its port's dump shows them.

All numbers are of 31 bits or more: that two of 10,000 are the same by chance
happens once in fifty runs.
"""
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from free_port import free_port

KINDLING = "bin/kindling"
SYN_ACK = 0x12


def read_exactly(f, n):
    data = f.read(n)
    if len(data) != n:
        sys.exit("identity: the dump ended before the copy answered")
    return data


def syn_ack(dump):
    """Hardware address and sequence number of the first one."""
    while True:
        length = struct.unpack("<8xI4x", read_exactly(dump, 16))[0]
        frame = read_exactly(dump, length)
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            continue
        tcp = 14 + 4 * (frame[14] & 15)
        if frame[tcp + 13] & 0x3f == SYN_ACK:
            return frame[6:12].hex(), struct.unpack(">I", frame[tcp + 4:tcp + 8])[0]


def identity(image, mode):
    port = free_port()
    copy = subprocess.Popen([KINDLING, "run", "--on", mode, "-p", "%d:7" % port, image],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    started = [copy]
    try:
        line = copy.stdout.readline().decode().strip()
        stem = os.path.basename(image).split(".")[0]
        dump = subprocess.Popen([KINDLING, "dump", "%s-%d" % (stem, copy.pid)],
                                stdout=subprocess.PIPE)
        started.append(dump)
        read_exactly(dump.stdout, 24)           # the head: it looks on
        with socket.create_connection(("127.0.0.1", port), 300):
            return "%s %s %d" % ((line,) + syn_ack(dump.stdout))
    finally:
        for p in started:
            p.kill()
            p.stdout.close()
            p.wait()


def main():
    clones, image, out, modes = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    os.environ["XDG_RUNTIME_DIR"] = out
    for i in range(clones):
        print(identity(image, modes[i % len(modes)]), flush=True)


main()
