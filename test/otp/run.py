#!/usr/bin/env python3
"""Run *_SUITE modules with mini_ct, one VM per suite, surviving VM crashes.

usage: run.py --root DIR --out OUTDIR [--vm "erl"] [--cap 25] [--suitecap 240]
              [--peers] [--jobs N] [--level L2] ... [suite ...]

DIR is where prepare.py put the suites and the Makefile the compiled mini_ct.
suite is dir/name (emulator/big_SUITE); --level takes those of suites.txt.
OUTDIR gets suites.tsv, cases.tsv and logs/<suite>.log.  When the VM dies or
goes silent in a case, that case is put down as crash / hang and the suite is
taken up again, in a fresh VM, at the next case.
"""
import argparse, concurrent.futures, os, select, shlex, signal, subprocess, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK = threading.Lock()     # of the two tables
ST = ["ok", "fail", "skip", "timeout", "noinit", "crash", "hang", "notrun"]


def vm_once(a, suite, frm, left, log, work):
    """One VM run.  Returns (events, how it ended, seconds)."""
    d = suite.rsplit("/", 1)[0] if "/" in suite else "."
    if os.path.isdir(os.path.join(a.root, d + "_test")):
        d += "_test"
    vm = shlex.split(a.vm)
    cmd = vm + ["-noshell", "-pa", a.root + "/ebin", "-pa", os.path.join(a.root, d),
           "-s", "mini_ct", "run", suite, "root=" + a.root,
           "cap=%d" % a.cap, "suitecap=%d" % max(1, int(left)), "from=%d" % frm,
           "scale=%d" % a.scale, "fresh=1"]
    if "maybe" in suite or "erl_eval" in suite:
        cmd[len(vm):len(vm)] = ["-enable-feature", "maybe_expr"]
    if not a.peers:
        cmd.append("nopeer=" + a.root + "/ebin/nopeer")
    if a.only:
        cmd.append("only=" + a.only)
    env = dict(os.environ, ERL_CRASH_DUMP_SECONDS="0", ERL_EPMD_ADDRESS="127.0.0.1")
    if a.peers:
        env["ERL_FLAGS"] = "-kernel inet_dist_use_interface {127,0,0,1}"
    t0 = time.time()
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, cwd=work, env=env,
                         start_new_session=True)
    ev, buf, last, end = [], b"", time.time(), None
    size = 0
    fd = p.stdout.fileno()
    while True:
        r, _, _ = select.select([fd], [], [], 1.0)
        now = time.time()
        if r:
            b = os.read(fd, 65536)
            if not b:
                break
            if size < 8 << 20:
                log.write(b)
                size += len(b)
            buf += b
            *lines, buf = buf.split(b"\n")
            for ln in lines:
                if ln.startswith(b"@@\t"):
                    last = now
                    f = ln.decode("utf-8", "replace").split("\t")[1:]
                    ev.append(f)
                    if f[0] == "E":
                        end = "done"
                    elif f[0] == "R":
                        end = "again"
        elif p.poll() is not None:
            break
        if end and now - last > 10:
            break
        if now - last > a.cap * 2 + 40:
            end = "hang"
            break
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        p.wait(10)
    except subprocess.TimeoutExpired:
        pass
    p.stdout.close()
    return ev, end or "crash", time.time() - t0


def run_suite(a, suite):
    name = suite.replace("/", ".")
    work = os.path.join(a.out, "work", name)
    os.makedirs(work, exist_ok=True)
    cases, plan, note, spent, frm, end = {}, None, "", 0.0, a.start, None
    order = []
    with open(os.path.join(a.out, "logs", name + ".log"), "wb") as log:
        for attempt in range(a.retries + 1):
            left = a.suitecap - spent
            if left <= 0:
                break
            ev, end, secs = vm_once(a, suite, frm, left, log, work)
            spent += secs
            cur = None
            seen_any = False
            for f in ev:
                if f[0] == "P":
                    plan = int(f[2])
                elif f[0] == "S":
                    cur = (int(f[2]), f[3], f[4])
                elif f[0] == "C":
                    i = int(f[2])
                    cases[i] = (f[3], f[4], f[5], int(f[6]), f[7] if len(f) > 7 else "")
                    frm = max(frm, i + 1)
                    cur, seen_any = None, True
                elif f[0] in ("K", "L", "X"):
                    note = " ".join(f[2:] if len(f) > 2 else f)[:200]
            if end == "done":
                break
            if end == "again" and not cur:
                continue
            if cur:
                i, g, c = cur
                cases[i] = (g, c, end, int(secs * 1000), "")
                frm = i + 1
            elif not seen_any:
                note = (note + " vm:%s outside a case" % end).strip()
                break
    n = {s: 0 for s in ST}
    for c in cases.values():
        n[c[2]] = n.get(c[2], 0) + 1
    if plan is None:
        note = note or "no plan (%s)" % end
        plan = 0
    if not a.only:
        n["notrun"] = max(0, plan - len(cases))
    with LOCK, open(os.path.join(a.out, "cases.tsv"), "a") as f:
        for i in sorted(cases):
            g, c, s, ms, why = cases[i]
            f.write("\t".join([suite, str(i), g, c, s, str(ms), why[:300]]) + "\n")
    with LOCK, open(os.path.join(a.out, "suites.tsv"), "a") as f:
        f.write("\t".join([suite, str(plan)] + [str(n[s]) for s in ST] +
                          ["%.1f" % spent, note]) + "\n")
    return plan, n, spent, note


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--vm", default="erl")
    ap.add_argument("--root", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--cap", type=int, default=25)
    ap.add_argument("--suitecap", type=int, default=240)
    ap.add_argument("--scale", type=int, default=1)
    ap.add_argument("--retries", type=int, default=30)
    ap.add_argument("--peers", action="store_true")
    ap.add_argument("--only", help="case1+case2")
    ap.add_argument("--start", type=int, default=0, help="first case index")
    ap.add_argument("--jobs", type=int, default=1)
    ap.add_argument("--level", action="append", default=[])
    ap.add_argument("suites", nargs="*")
    a = ap.parse_args()
    a.root, a.out = os.path.abspath(a.root), os.path.abspath(a.out)
    os.makedirs(os.path.join(a.out, "logs"), exist_ok=True)
    suites = list(a.suites)
    with open(os.path.join(HERE, "suites.txt")) as f:
        rows = [line.split() for line in f if line[0] != "#"]
    suites += [suite for level, suite in rows if level in a.level]
    f = os.path.join(a.out, "suites.tsv")
    if not os.path.exists(f):
        open(f, "w").write("\t".join(["suite", "cases"] + ST + ["seconds", "note"]) + "\n")
        open(os.path.join(a.out, "cases.tsv"), "w").write(
            "\t".join(["suite", "idx", "group", "case", "status", "ms", "reason"]) + "\n")
    tot = {s: 0 for s in ST}
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for s, (plan, n, secs, note) in zip(suites, pool.map(lambda s: run_suite(a, s), suites)):
            for k in ST:
                tot[k] += n[k]
            print("%-45s %4d  " % (s, plan) +
                  " ".join("%s=%d" % (k, n[k]) for k in ST if n[k]) +
                  "  %.1fs %s" % (secs, note), flush=True)
    print("TOTAL " + " ".join("%s=%d" % (k, tot[k]) for k in ST))


if __name__ == "__main__":
    main()
