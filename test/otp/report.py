#!/usr/bin/env python3
"""Hold two runs of OTP's suites against each other.

usage: report.py table STOCK NATIVE INTERPRETED
                                      doc/conformance.md, on standard output
       report.py check LING [SUITE ...]   exit 1 if ling fails a case it should pass
       report.py not-on-stock STOCK   not_on_stock.txt, on standard output
       report.py image IMAGE          doc/conformance-image.md, on standard output;
                                      exit 1 if a case is lost without a reason

All are directories that run.py wrote. Only cases that are ok on stock
OTP count. `check` takes those from not_on_stock.txt and the known losses from
why.txt, so that it needs no stock run:

  why.txt            suite case: one line why ling does not pass it ("suite *"
                     for a suite)
  not_on_stock.txt   suite case: fails or skips on stock OTP as well
  not_in_image.txt   suite case: what it needs that an instance has not
"""
import collections, os, sys

HERE = os.path.dirname(os.path.abspath(__file__))


def cases(directory):
    """{(suite, group, case): (status, reason)}"""
    found = {}
    with open(os.path.join(directory, "cases.tsv")) as f:
        next(f)
        for line in f:
            suite, _, group, case, status, _, reason = line.rstrip("\n").split("\t")[:7]
            found[suite, group, case] = status, reason
    return found


def notes(name):
    """{(suite, case): text}"""
    found = {}
    with open(os.path.join(HERE, name)) as f:
        for line in f:
            if line.strip() and line[0] != "#":
                what, _, text = line.rstrip("\n").partition(": ")
                found[tuple(what.split())] = text
    return found


def levels():
    with open(os.path.join(HERE, "suites.txt")) as f:
        return [line.split() for line in f if line[0] != "#"]


def why_not(why, suite, case, status, reason):
    text = why.get((suite, case)) or why.get((suite, "*"))
    return text or "not looked into: %s %s" % (status, reason[:100])


def tally(run, suite):
    n = collections.Counter()
    for key, (status, _) in run.items():
        if key[0] == suite:
            n[status if status in ("ok", "skip") else "failed"] += 1
    return n


def table(stock_dir, native_dir, interpreted_dir):
    stock, why = cases(stock_dir), notes("why.txt")
    tiers = {"native": cases(native_dir), "interpreted": cases(interpreted_dir)}
    suites = {key[0] for key in stock}
    per_level, lost, rows = collections.OrderedDict(), [], []
    for level, suite in levels():
        if suite not in suites:
            continue
        counted = [k for k, v in stock.items() if k[0] == suite and v[0] == "ok"]
        passed = dict.fromkeys(tiers, 0)
        for k in counted:
            failed = {}
            for tier, run in tiers.items():
                status, reason = run.get(k, ("not run", ""))
                if status == "ok":
                    passed[tier] += 1
                else:
                    failed[tier] = why_not(why, suite, k[2], status, reason)
            if failed:
                lost.append((suite, k[2], " and ".join(failed),
                             "; ".join(dict.fromkeys(failed.values()))))
        n = per_level.setdefault(level, collections.Counter())
        n.update(passed, counted=len(counted))
        cells = []
        for run in (*tiers.values(), stock):
            t = tally(run, suite)
            cells += [t["ok"], t["failed"], t["skip"]]
        rows.append((level, suite, len(counted), *passed.values(), *cells))
    print("# OTP's own test suites on ling\n\nWritten by `make otp`; do not edit. "
          "The suites are those of the OTP source package that the\nbuild fetches. "
          "Stock OTP ran with one scheduler; what is ok there counts.\n")
    print("| level | counted | native | | interpreted | |\n|---|---|---|---|---|---|")
    for level, n in per_level.items():
        print("| %s | %d | %s |" % (level, n["counted"], " | ".join(
            "%d | %.1f %%" % (n[tier], 100 * n[tier] / max(1, n["counted"]))
            for tier in tiers)))
    print("\n## Suites\n\nCounted cases, and how many pass; then ok/failed/skipped of all."
          "\n\n| level | suite | counted | native | interpreted | native | interpreted | stock |"
          "\n|---|---|---|---|---|---|---|---|")
    for row in rows:
        print("| %s | %s | %d | %d | %d | %d/%d/%d | %d/%d/%d | %d/%d/%d |" % row)
    print("\n## Counted cases that ling does not pass\n\n| suite | case | lost | why |"
          "\n|---|---|---|---|")
    for row in lost:
        print("| %s | %s | %s | %s |" % tuple(text.replace("|", "\\|") for text in row))


def check(ling_dir, suites):
    ling, why, excused = cases(ling_dir), notes("why.txt"), notes("not_on_stock.txt")
    bad = []
    for suite in suites:
        if not any(k[0] == suite for k in ling):
            bad.append((suite, "-", "no case ran"))
    for (suite, _, case), (status, reason) in ling.items():
        if status != "ok" and not {(suite, case), (suite, "*")} & (why.keys() | excused.keys()):
            bad.append((suite, case, "%s %s" % (status, reason)))
    for suite, case, text in bad:
        print("%s %s: %s" % (suite, case, text))
    print("OTP's suites: %d cases ok, %d failed that should not" % (
        sum(v[0] == "ok" for v in ling.values()), len(bad)))
    return 1 if bad else 0


def image(image_dir):
    run, excused = cases(image_dir), notes("not_on_stock.txt")
    needs = notes("not_in_image.txt")
    rows, left_out, lost = [], [], []
    for level, suite in levels():
        counted = [k for k in run if k[0] == suite and (suite, k[2]) not in excused]
        passed = 0
        for k in counted:
            status, reason = run[k]
            if status == "ok":
                passed += 1
            elif (suite, k[2]) in needs:
                left_out.append((suite, k[2], needs[suite, k[2]]))
            else:
                lost.append((suite, k[2], "%s %s" % (status, reason[:100])))
        if counted:
            rows.append((suite, passed, len(counted)))
    passed, counted = (sum(r[i] for r in rows) for i in (1, 2))
    print("# OTP's language suites in an image\n\nWritten by `make otp-image`; do not edit. "
          "Level L2, in an instance; what is ok on stock\nOTP counts. %d cases need what an "
          "instance has not. Of the others %d of %d passed.\n" % (
              len(left_out), passed, counted - len(left_out)))
    for title, table in ("Left out", left_out), ("Lost", lost):
        print("## %s\n\n| suite | case | why |\n|---|---|---|" % title)
        for row in table:
            print("| %s | %s | %s |" % tuple(text.replace("|", "\\|") for text in row))
        print()
    print("## Suites\n\n| suite | passed | counted |\n|---|---|---|")
    for row in rows:
        print("| %s | %d | %d |" % row)
    return 1 if lost else 0


def not_on_stock(stock_dir):
    print("# Cases that fail or skip on stock OTP too (one scheduler, no second node).\n"
          "# Written by make otp.")
    for suite, case in sorted({(k[0], k[2]) for k, v in cases(stock_dir).items()
                               if v[0] != "ok"}):
        print("%s %s" % (suite, case))


if __name__ == "__main__":
    if sys.argv[1:2] == ["table"]:
        table(*sys.argv[2:5])
    elif sys.argv[1:2] == ["check"]:
        sys.exit(check(sys.argv[2], sys.argv[3:]))
    elif sys.argv[1:2] == ["not-on-stock"]:
        not_on_stock(sys.argv[2])
    elif sys.argv[1:2] == ["image"]:
        sys.exit(image(sys.argv[2]))
    else:
        sys.exit(__doc__)
