#!/usr/bin/env python3
"""An instance of examples/web with bad clients, on a network that loses, doubles
and swaps frames: it answers all the time, and its memory stays flat.

usage: soak.py SECONDS IMAGE

The clients stall, reset, send garbage, end in the middle of a request, or ask as they
should. Printed once a minute, and at the end: answers, and the memory (Rss) of the
instance's tender and of the switch. Status 1: somebody who asked as he should was not
answered in 30 s, or memory in the last third is more than a tenth above the middle third.
"""
import os, random, re, socket, struct, subprocess, sys, tempfile, threading, time

seconds, image = int(sys.argv[1]), sys.argv[2]
HERE = os.path.dirname(os.path.abspath(__file__))
KINDLING = os.path.join(HERE, "../../bin/kindling")
answers, failures, done = [0], [], threading.Event()
ASK = b"GET / HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n"


def kindling(*args):
    return subprocess.run([KINDLING, *args], check=True, text=True, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL).stdout


def rss(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def our_switch():
    ours = b"XDG_RUNTIME_DIR=" + os.environ["XDG_RUNTIME_DIR"].encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/comm" % pid) as f, open("/proc/%s/environ" % pid, "rb") as e:
                if f.read() == "kindling-switch\n" and ours in e.read().split(b"\0"):
                    return int(pid)
        except OSError:
            pass
    sys.exit("soak: there is no switch")


def ask(s):
    s.sendall(ASK)
    got = b""
    while part := s.recv(65536):
        got += part
    if not got.startswith(b"HTTP/1.1 200"):
        raise OSError("answered %r" % got[:40])
    answers[0] += 1


def bad(s, kind, chance):
    if kind == "garbage":
        s.sendall(chance.randbytes(chance.randrange(1, 5000)))
    elif kind in ("half", "stall"):
        s.sendall(ASK[:chance.randrange(1, len(ASK))])
        if kind == "stall":
            done.wait(chance.random() * 5)
    elif kind == "reset":
        s.sendall(ASK)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def client(port, number):
    chance = random.Random(number)
    while not done.is_set():
        kind = chance.choice(["ask"] * 6 + ["garbage", "half", "stall", "reset"])
        try:
            with socket.create_connection(("127.0.0.1", port), 30) as s:
                if kind == "ask":
                    ask(s)
                else:
                    bad(s, kind, chance)
        except OSError as e:
            if kind == "ask":
                failures.append("%s after %d answers" % (e, answers[0]))
                done.set()


def main():
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp()
    os.environ.setdefault("KINDLING_FAULTS", "3,3,5")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    kindling("run", "-d", "--name", "soak", "-p", "%d:8080" % port, image)
    begin = time.monotonic()
    while True:             # it boots
        try:
            with socket.create_connection(("127.0.0.1", port), 30) as s:
                ask(s)
            break
        except OSError:
            if time.monotonic() - begin > 60:
                sys.exit("soak: no answer in a minute")
            time.sleep(0.1)
    tender = int(next(l.split()[1] for l in kindling("ps").splitlines() if l.startswith("soak ")))
    switch = our_switch()
    clients = [threading.Thread(target=client, args=(port, i)) for i in range(8)]
    for c in clients:
        c.start()
    samples = []
    while time.monotonic() - begin < seconds and not done.wait(1):
        samples.append((rss(tender), rss(switch)))
        if len(samples) % 60 == 0:
            print("%4d s: %d answers, instance %d KiB, switch %d KiB" % (
                len(samples), answers[0], *samples[-1]), flush=True)
    done.set()
    for c in clients:
        c.join()
    kindling("stop", "soak")
    third = len(samples) // 3
    for what, i in ("instance", 0), ("switch", 1):
        middle = max(s[i] for s in samples[third:2 * third] or samples)
        last = max(s[i] for s in samples[2 * third:] or samples)
        print("%s: %d KiB at most in the middle third, %d in the last" % (what, middle, last))
        if last > middle * 1.1:
            failures.append("the %s grows" % what)
    print("%d answers in %d s" % (answers[0], time.monotonic() - begin))
    for f in failures:
        print("soak: " + f)
    sys.exit(1 if failures else 0)


main()
