#!/bin/sh
# Real programs on bin/ling, beside stock OTP where their output can be compared:
# erlc, escript, PropEr, dialyzer; and a million processes, a million timers, ten
# million rows.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
ling=$top/bin/ling
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
bad() { failed=$((failed + 1)); echo "FAIL $*"; }

"$top/deps/install.sh" packages-long.txt || exit 1
cd "$work" || exit 1

mkdir stock ling
erlc +deterministic -o stock "$top"/test/real/*.erl || bad "erlc"
ERLC_EMULATOR=$ling erlc +deterministic -o ling "$top"/test/real/*.erl || bad "erlc on ling"
diff -r stock ling && echo "erlc: the same beams" || bad "erlc on ling makes other beams"

cat > hello.escript <<'EOF'
#!/usr/bin/env escript
main(Args) -> io:format("~p ~p~n", [Args, length(escript:script_name())]), halt(3).
EOF
escript hello.escript a b > want
[ $? -eq 3 ] || bad "escript"
ESCRIPT_EMULATOR=$ling escript hello.escript a b > got
[ $? -eq 3 ] && cmp want got && echo "escript: the same" || bad "escript on ling"

"$ling" -noshell -pa stock -run props run || bad "PropEr"

# Warnings of a PLT over erts and kernel; without the line of times.
for vm in erl "$ling"; do
    "$vm" -noshell -run dialyzer plain_cl --build_plt --output_plt "$work/plt" \
        --apps erts kernel > "out.$(basename "$vm")" 2>&1
    echo "status $?" >> "out.$(basename "$vm")"
    sed -i 's/ *done in .*//' "out.$(basename "$vm")"
done
cmp out.erl out.ling && echo "dialyzer: the same $(wc -l < out.ling) lines" ||
    { bad "dialyzer on ling"; diff out.erl out.ling | head -20; }

"$ling" +P 2000000 -noshell -pa stock -run scale run processes 1000000 3072 || bad "processes"
"$ling" -noshell -pa stock -run scale run timers 1000000 1024 || bad "timers"
"$ling" -noshell -pa stock -run scale run rows 10000000 4096 || bad "rows"
[ $failed -eq 0 ] && echo "real programs: all passed"
