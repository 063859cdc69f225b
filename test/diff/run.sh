#!/bin/sh
# Random programs on stock erl, then on each given VM: equal results.
#
#    test/diff/run.sh DIR SEED COUNT VM...
#
# DIR has diff.beam; a batch of programs is a file there, as long as it is needed.
# A VM is a command with its flags. Status 1 when a result differs.
set -eu
dir=$1 seed=$2 count=$3
shift 3
batch=50
record_cpu_seconds=150
status=0

rm -f "$dir"/batch.*
first=1
while [ "$first" -le "$count" ]; do
    last=$((first + batch - 1))
    [ "$last" -le "$count" ] || last=$count
    file=$dir/batch.$first
    skip=
    # ERL_CRASH_DUMP_BYTES: what ends for want of memory leaves no dump. And stock OTP
    # takes for ever over a few programs: a batch wants 15 seconds of processor time.
    until (ulimit -t $record_cpu_seconds; ERL_CRASH_DUMP_BYTES=0 exec erl +S 1:1 +SDcpu 1:1 \
        -noshell -kernel logger_level none \
        -pa "$dir" -run diff record "$file" "$seed" "$first" "$last" $skip); do
        [ $? -ne 3 ] || exit 1
        at=$(cat "$file.at")
        case " $skip " in *" $at "*) echo "stock OTP ends at program $at, twice"; exit 1 ;; esac
        echo "program $at ends stock OTP: left out"
        skip="$skip $at"
    done
    for vm in "$@"; do
        echo "programs $first to $last of seed $seed on $vm:"
        # Unquoted: a command and its flags.
        $vm -noshell -kernel logger_level none -pa "$dir" -run diff compare "$file" ||
            status=1
    done
    first=$((last + 1))
done
erl -noshell -pa "$dir" -run diff coverage test/needs/opcodes.tsv $(ls "$dir"/batch.* | grep -v '[.]at$')
rm -f "$dir"/batch.*
exit $status
