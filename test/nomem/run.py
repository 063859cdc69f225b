#!/usr/bin/env python3
"""Run a program once for each allocation that could fail, and look at its end.

    run.py LING EBIN [EVERY [SAMPLES]]

The nth allocation fails for every n up to EVERY (2000) and for SAMPLES (200) more,
spread over the rest. Each run must end as documented: the program's own line, the
same as without failure; ling's one line with size and caller and status 137; or a
process that says what it died of. Never a signal, a sanitizer's report, a leak,
a wrong sum or a hang.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

LING, EBIN = sys.argv[1:3]
EVERY = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
SAMPLES = int(sys.argv[4]) if len(sys.argv) > 4 else 200
HANG_SECONDS = 300

OUT_OF_MEMORY = re.compile(
    rb"^ling: out of memory: \d+ bytes for [\w' ]+, in \w+$", re.M)
# A process that was refused a large block says so.
REFUSED = re.compile(rb"killed|system_limit|enomem")


def run(n):
    env = dict(os.environ, LING_STRESS="fail=%d" % n)
    p = subprocess.Popen([LING, "-noshell", "-pa", EBIN, "-run", "nomem", "run"], env=env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    try:
        out, _ = p.communicate(timeout=HANG_SECONDS)
    except subprocess.TimeoutExpired:
        p.kill()
        return n, None, p.communicate()[0]
    return n, p.returncode, out


def kind(status, out, right):
    """What this end is, or None: a bug."""
    if b"Sanitizer" in out or b"runtime error" in out:
        return None
    if status == 0:
        return "finished" if out.endswith(right) else None
    if status == 137 and OUT_OF_MEMORY.search(out):
        return "ling ended, out of memory"
    if status in (1, 2) and REFUSED.search(out):
        return "a process died of it"
    return None


def main():
    _, status, right = run(0)
    if status != 0:
        sys.exit("without failure: status %s\n%s" % (status, right.decode()))
    last = EVERY                        # an allocation that is never reached
    while run(last)[2] != right or run(last)[1] != 0:
        last *= 2
    step = max(1, (last - EVERY) // SAMPLES)
    points = list(range(1, EVERY + 1)) + list(range(EVERY + step, last, step))
    count, bugs = {}, 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for n, status, out in pool.map(run, points):
            what = kind(status, out, right)
            if what:
                count[what] = count.get(what, 0) + 1
            else:
                bugs += 1
                print("LING_STRESS=fail=%d: status %s\n%s" % (n, status, out.decode("latin1")))
    print("%d runs, one allocation failing in each: %s; %d bugs" % (
        len(points), ", ".join("%d %s" % (v, k) for k, v in sorted(count.items())), bugs))
    sys.exit(1 if bugs else 0)


main()
