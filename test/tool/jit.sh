#!/bin/sh
# What bin/ling tells perf and gdb of native code.
set -u
cd "$(dirname "$0")/../.."
ling=bin/ling
out=build/test/jit
failed=0
mkdir -p $out
fail() { echo "FAIL jit: $*"; failed=1; }

# Runs ling with flags until it has said its process id, and ends it well.
pid_of() {
    "$ling" "$@" -noshell -eval 'io:put_chars(os:getpid()), lists:sort([2, 1]), halt(0).'
}

pid=$(pid_of +JPperf map)
map=/tmp/perf-$pid.map
grep -qE '^[0-9a-f]+ [0-9a-f]+ \$lists:sort/1$' "$map" || fail "no lists:sort/1 in $map"
grep -qE '^[0-9a-f]+ [0-9a-f]+ \$lists:\(cold\)$' "$map" || fail "no cold part of lists in $map"
grep -vqE '^[0-9a-f]+ [0-9a-f]+ \$' "$map" && fail "a line of $map has no symbol"
[ -e /tmp/jit-"$pid".dump ] && fail "+JPperf map made a dump"
rm -f "$map"

pid=$(pid_of +JPperf dump)
dump=/tmp/jit-$pid.dump
[ "$(head -c 4 "$dump" | od -An -tx4 | tr -d ' ')" = 4a695444 ] || fail "$dump has no magic"
grep -qa '\$lists:sort/1' "$dump" || fail "no lists:sort/1 in $dump"
rm -f "$dump"

pid=$(pid_of +JPperf true)
[ -s /tmp/perf-"$pid".map ] && [ -s /tmp/jit-"$pid".dump ] || fail "+JPperf true lacks a file"
rm -f /tmp/perf-"$pid".map /tmp/jit-"$pid".dump
pid=$(pid_of +JPperf false)
[ -e /tmp/perf-"$pid".map ] && fail "+JPperf false made a file"
"$ling" +JPperf maybe -noshell -eval 'halt().' 2> $out/err && fail "+JPperf maybe was taken"
grep -q 'JPperf maybe' $out/err || fail "+JPperf maybe: $(cat $out/err)"

# Perf itself, where the kernel lets us.
if perf record -q -k 1 -e cpu-clock -o $out/perf.data "$ling" +JPperf map -noshell -eval '
       io:put_chars(os:getpid()), L = lists:seq(1, 100000), [lists:reverse(lists:map(
           fun(X) -> X + 1 end, L)) || _ <- lists:seq(1, 20)], halt(0).' > $out/pid 2> $out/err; then
    perf report -i $out/perf.data --stdio 2> /dev/null > $out/report
    grep -q '\$lists:map' $out/report || fail "perf report does not name lists:map, see $out/report"
    rm -f /tmp/perf-"$(cat $out/pid)".map
else
    echo "SKIPPED: perf can't record here"
fi

if command -v gdb > /dev/null; then
    gdb -q -batch -ex 'break bif_erlang_halt_2' -ex run -ex 'info symbol vm.sched->self' \
        --args "$ling" +JDgdb true -noshell -eval 'halt(0).' > $out/gdb 2>&1 < /dev/null
    grep -q '^\$erlang:halt/[012]' $out/gdb || fail "gdb does not name native code, see $out/gdb"
else
    echo "SKIPPED: no gdb here"
fi
[ $failed -eq 0 ] && echo "perf and gdb know native code by name"
exit $failed
