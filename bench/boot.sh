#!/bin/sh
# Boot times: bench/boot.sh IMAGE [RUNS]. Minimum and median, in ms, of an
# image on KVM and in a process, and of erl printing a line, taken in turns.
set -eu
image=$1
runs=${2:-20}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
modes=process
[ -w /dev/kvm ] && modes="kvm process"

for _ in $(seq "$runs"); do
    for mode in $modes; do
        bin/kindling run --on $mode --boot-times "$image" > "$dir/out" 2>&1 || true
        awk '/^first Erlang/ {print $4}' "$dir/out" >> "$dir/$mode.erlang"
        awk '/^first output/ {print $3}' "$dir/out" >> "$dir/$mode.output"
        awk '/^until then/ {print $3}' "$dir/out" >> "$dir/$mode.exits"
        awk '/^until then/ {print $5}' "$dir/out" >> "$dir/$mode.pages"
    done
    start=$(date +%s%N)
    erl -noshell -eval 'io:put_chars("x\n"), halt().' > /dev/null
    end=$(date +%s%N)
    echo $(((end - start) / 10000)) | sed 's/\(..\)$/.\1/' >> "$dir/erl.whole"
done

row() { # name, file
    [ -s "$dir/$2" ] || return 0
    sort -n "$dir/$2" | awk -v name="$1" '{v[NR] = $1}
        END {printf "%-44s %8s %8s\n", name, v[1], v[int((NR + 1) / 2)]}'
}
printf '%-44s %8s %8s\n' "$runs runs" min median
for mode in $modes; do
    row "$mode: start to first Erlang instruction, ms" $mode.erlang
    row "$mode: start to first line of output, ms" $mode.output
    row "$mode: exits until then" $mode.exits
    row "$mode: pages touched first until then" $mode.pages
done
row "erl: start of the command to its end, ms" erl.whole
