#!/bin/sh
# The bare machine without the VM: test/bare/probe.c in every mode this machine
# has. `test/bare/run.sh process` runs one mode.
set -u
cd "$(dirname "$0")/../.."
kindling=bin/kindling
probe=build/bare/probe.elf
probe_code=build/bare/probe-code.elf
out=build/bare/check
mkdir -p $out
passed=0
failed=0

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $mode: $*"; }

# expect STATUS IMAGE ARGS: the status, and what is written into $out/out, err
expect() {
    want=$1 image=$2
    shift 2
    "$kindling" run $on --mem 32M --report $out/report $image -- "$@" \
        > $out/out 2> $out/err < /dev/null
    got=$?
    if [ $got -eq $want ]; then good; else
        bad "$* ended with $got, not $want"
        head -5 $out/err
    fi
}
says() { if grep -q -- "$1" $out/$2; then good; else bad "no \"$1\" in $2"; fi; }

modes() {
    if [ $# -gt 0 ]; then echo "$@"; return; fi
    echo process
    if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then echo kvm; else
        echo "no /dev/kvm: not tested on KVM" >&2; fi
    if command -v qemu-system-x86_64 > /dev/null; then echo tcg; else
        echo "no QEMU: not tested under it" >&2; fi
}

for mode in $(modes "$@"); do
    case $mode in
    tcg) on="--on qemu --tcg" ;;
    *) on="--on $mode" ;;
    esac

    expect 200 $probe
    says '^0 failures' out
    expect 200 $probe_code
    says 'code rewritten 1000 times' out
    for s in 0 1 125 137 255; do
        expect $s $probe exit $s
        says '"reason": "halt"' report
    done
    expect 134 $probe abort
    says '"reason": "vm_bug"' report
    expect 0 $probe args one "two words" ""
    says '^two words$' out

    # What no guest may do. Each ends in a crash record.
    for attack in null write-null write-code write-rodata write-info write-gate \
            run-data run-heap run-stack overflow tables shim window-end arena-end \
            kernel cli hlt out cr3 ud2 divide int80; do
        expect 139 $probe attack $attack
        says '"reason": "fault"' report
        says 'guest fault\|system call' err
    done
    for attack in syscall syscall-exit write-code-x run-code-w; do
        expect 139 $probe_code attack $attack
        says '"reason": "fault"' report
    done

    # --mem is a ceiling.
    expect 0 $probe eat
    mib=$(sed 's/ MiB//' $out/out)
    if [ "$mib" -ge 16 ] && [ "$mib" -le 36 ]; then good; else
        bad "of --mem 32M it got $mib MiB"; fi

    # SIGTERM is a request, the second one an order. Input stays open meanwhile.
    for what in echo spin; do
        mkfifo $out/fifo.$$
        "$kindling" run $on $probe -- $what > $out/out 2> $out/err < $out/fifo.$$ &
        pid=$!
        exec 9> $out/fifo.$$
        rm $out/fifo.$$
        if [ $what = echo ]; then
            # A serial line drops what comes before somebody listens: say it again.
            tries=0
            until grep -q hi $out/out || [ $tries -ge 600 ]; do
                [ $((tries % 20)) -eq 0 ] && echo hi >&9
                sleep 0.05
                tries=$((tries + 1))
            done
            says hi out
            kill -TERM $pid
            wait $pid
            got=$?
            [ $got -eq 15 ] && good || bad "SIGTERM ended it with $got, not 15"
            says terminated out
        else
            tries=0
            until grep -q spinning $out/out || [ $tries -ge 600 ]; do
                sleep 0.05
                tries=$((tries + 1))
            done
            says spinning out
            kill -TERM $pid
            # Two at once would be one. A bit for each signal that waits: SIGTERM's is 0x4000.
            while grep -q '^S.*Pnd:.*[4-7c-f]...$' /proc/$pid/status; do sleep 0.05; done
            sleep 0.2
            kill -0 $pid && good || bad "one SIGTERM ended it"
            kill -TERM $pid
            wait $pid
            got=$?
            [ $got -eq 143 ] && good || bad "two SIGTERMs ended it with $got, not 143"
        fi
        exec 9>&-
    done
done
echo "bare machine: $passed passed, $failed failed"
[ $failed -eq 0 ]
