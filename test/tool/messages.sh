#!/bin/sh
# Bad input: each ends with the status that doc/man has for it and one line that
# says what was tried, on what and why it failed. No file is left behind.
set -u
cd "$(dirname "$0")/../.."
top=$PWD
work=$top/build/test/messages
kindling=$top/bin/kindling
ling=$top/bin/ling
failed=0
passed=0
rm -rf "$work"
mkdir -p "$work/in" "$work/out"
cd "$work" || exit 1

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $*"; }

# refused STATUS PATTERN COMMAND...
refused() {
    want=$1 pattern=$2
    shift 2
    ls -A out > before
    "$@" > stdout 2> stderr < /dev/null
    got=$?
    [ $got -eq "$want" ] && good || bad "$* ended with $got, not $want: $(head -3 stderr)"
    # A run without KVM says so first.
    grep -v 'running it as a process$' stderr > lines
    [ "$(wc -l < lines)" -eq 1 ] && good || bad "$* says not one line: $(head -5 stderr)"
    grep -q -- "$pattern" lines && good || bad "$* does not say \"$pattern\": $(cat lines)"
    ls -A out | cmp -s before - || bad "$* leaves $(ls -A out)"
}

# helps COMMAND...: the options it has, each on its man page, and examples
helps() {
    page=$1
    shift
    "$@" --help > help 2> stderr
    got=$?
    [ $got -eq 0 ] && [ ! -s stderr ] && good || bad "$* --help ended with $got"
    [ "$(grep -c '^  \(kindling\|ling\|tender\) ' help)" -ge 2 ] && good ||
        bad "$* --help has no examples"
    grep -o -- '^ \+\(-[a-z], \)\?--[a-z-]*' help | grep -o -- '--[a-z-]*' > options
    while read -r option; do
        grep -q -- " -${option#--}" "$top/doc/man/$page" && good ||
            bad "$* $option is not on $page"
    done < options
}

# app NAME KEYS: an application without modules
app() {
    mkdir -p "in/$1/ebin"
    echo "{application, $1, [{vsn, \"1\"}, {modules, []}, $2]}." > "in/$1/ebin/$1.app"
}

# --- the commands ---
helps kindling.1 "$kindling"
helps kindling.1 "$kindling" build
helps kindling.1 "$kindling" run
helps kindling.1 "$kindling" info
helps ling.1 "$ling"
"$kindling" > stdout 2> stderr
[ $? -eq 125 ] && grep -q '^usage' stderr && good || bad "kindling alone"
refused 125 'cannot frob: no such command' "$kindling" frob
for command in console top exec switch; do
    refused 125 "cannot $command: .*not exist yet" "$kindling" $command
done
for bad in 80 80: :80 80:x 80:99999 x:80:80 1.2.3:80:80 -1:80; do
    refused 125 "cannot publish $bad: " "$kindling" run -p "$bad" x.img
done
refused 125 "cannot publish 192.0.2.1:8080:80: " "$kindling" run -p 192.0.2.1:8080:80 x.img
refused 125 "cannot dump nobody: no instance" "$kindling" dump nobody
refused 125 "cannot use nothing for an uplink: there is no such interface" \
    "$kindling" uplink nothing
refused 125 "cannot make an uplink: name a tap" "$kindling" uplink

# --- build ---
build() {
    status=$1 pattern=$2
    shift 2
    refused "$status" "$pattern" "$kindling" build -q -o out/x.img "$@"
}
app fine '{applications, [kernel, stdlib]}'
build 125 'of nothing'
build 125 'cannot pack in/none: No such file' in/none
mkdir in/empty
build 125 'cannot pack in/empty: no .app file' in/empty
app needy '{applications, [kernel, stdlib, no_such_app]}'
build 125 'needy: it needs the application no_such_app' in/needy
app lonely '{applications, [kernel]}'
sed -i 's/modules, \[\]/modules, [gone]/' in/lonely/ebin/lonely.app
build 125 'lonely: its module gone is not there' in/lonely
app one '{applications, [two]}'
app two '{applications, [three]}'
app three '{applications, [one]}'
build 125 'circle: one needs two needs three needs one' in/one in/two in/three
app cut '{applications, [kernel, stdlib]}'
head -c 40 in/fine/ebin/fine.app > in/cut/ebin/cut.app
build 125 'in/cut/ebin/cut.app: ' in/cut
head -c 300 /bin/sh > in/cut/ebin/cut.app
build 125 'in/cut/ebin/cut.app: ' in/cut
echo '{application, other, []}.' > in/cut/ebin/cut.app
build 125 'it describes other' in/cut
: > in/cut/ebin/cut.app
build 125 'in/cut/ebin/cut.app: ' in/cut
build 125 'the application no_such_app: it is not in' --app no_such_app in/fine
build 125 'cannot read .*none.config' --config in/none.config in/fine
build 125 'cannot read .*none.args' --vm-args in/none.args in/fine
echo '-mode embedded +P 4000' > in/emulator.args
build 125 'cannot take +P of in/emulator.args' --vm-args in/emulator.args in/fine
echo "-kernel 'x" > in/quote.args
build 125 'a quote is not closed' --vm-args in/quote.args in/fine
build 125 '64Q for --mem' --mem 64Q in/fine
build 125 'for --file' --file nowhere in/fine
build 125 'it is not ling' --ling /bin/sh in/fine
refused 125 'cannot write out/no/x.img' "$kindling" build -q -o out/no/x.img in/fine
refused 125 'no erl on the PATH' env -u ERL_ROOTDIR PATH=/nowhere "$kindling" build -o out/x.img in/fine
refused 125 '/nowhere/lib is no directory' env ERL_ROOTDIR=/nowhere "$kindling" build -o out/x.img in/fine

# A module that is none: cut short, corrupted, another's.
app broken '{applications, [kernel, stdlib]}'
sed -i 's/modules, \[\]/modules, [broken]/' in/broken/ebin/broken.app
beam=in/broken/ebin/broken.beam
head -c 1000 "$top/build/test/test.beam" > $beam
build 125 'broken.beam: it is cut short' in/broken
cp /bin/true $beam
build 125 'broken.beam: it is no .beam' in/broken
cp "$top/build/test/test.beam" $beam
build 125 'broken.beam: it is of another module' in/broken
# Whole as a file, but with an instruction that there is not.
echo '-module(broken).' > in/broken.erl
erlc -o in/broken/ebin in/broken.erl
python3 -c "
import sys
d = bytearray(open('$beam', 'rb').read())
d[d.index(b'Code') + 28] = 255
open('$beam', 'wb').write(d)"
build 125 'broken.beam: it has instruction number 255' in/broken

# A full disk, on a file system of our own.
if unshare -rm true 2> stderr; then
    mkdir full
    refused 125 'cannot write .*No space left' unshare -rm sh -c "
        mount -t tmpfs -o size=1m full full || exit 1
        '$kindling' build -q -o full/x.img in/fine
        status=\$?
        [ -z \"\$(ls -A full)\" ] || echo 'a half-written file'
        exit \$status"
else
    echo "SKIPPED: no user namespaces here, a full disk was not tested"
fi

# --- run, info ---
echo 'a text' > in/text.img
: > in/empty.img
"$kindling" build -q -o in/fine.img --eval 'halt(7).' in/fine || bad "no image"
head -c 100 in/fine.img > in/cut1.img
head -c 5000 in/fine.img > in/cut2.img
head -c 1000000 in/fine.img > in/cut3.img
# patch FILE MAGIC_OFFSET BYTE: the header is the page that begins with its magic
header=$(grep -obUaP 'INLKOFG\0' in/fine.img | head -1 | cut -d: -f1)
patch() {
    cp in/fine.img "$1"
    printf "$3" | dd of="$1" bs=1 seek=$((header + $2)) conv=notrunc 2> stderr
}
patch in/version.img 8 '\377'
patch in/guest.img 12 '\377'
patch in/cpu.img 28 '\004'
patch in/magic.img 0 'x'
patch in/base.img 18 '\001'
for on in "process" "kvm" "qemu --tcg"; do
    case $on in
    kvm) [ -r /dev/kvm ] && [ -w /dev/kvm ] || continue ;;
    qemu*) command -v qemu-system-x86_64 > stdout || continue ;;
    esac
    run() {
        status=$1 pattern=$2
        shift 2
        refused "$status" "$pattern" "$kindling" run --on $on "$@"
    }
    run 126 'in/none.img: No such file' in/none.img
    run 126 'in/fine: it is not a file' in/fine
    for image in text empty; do run 126 "$image.img: it is no image" in/$image.img; done
    run 126 'no image\|not an image' /bin/sh
    for image in cut1 cut2 cut3; do run 126 "$image.img: it is cut short" in/$image.img; done
    for image in version guest; do run 126 "$image.img: it is of format" in/$image.img; done
    run 126 'another processor' in/cpu.img
    run 126 'header is damaged\|not an image' in/magic.img
    run 126 'impossible address' in/base.img
    run 125 'cannot run in/fine.img in 1 MiB: it needs' --mem 1M in/fine.img
    "$kindling" run --on $on in/fine.img < /dev/null > stdout 2> stderr
    [ $? -eq 7 ] && good || bad "the good image does not run on $on: $(head -3 stderr)"
done
for image in text empty cut1 cut2 version magic; do
    refused 126 "$image.img: " "$kindling" info in/$image.img
done
# One byte of a whole image, wherever it lies; no start pays for looking.
"$kindling" info in/fine.img > stdout 2> stderr && [ ! -s stderr ] && good ||
    bad "info of a good image: $(cat stderr)"
bytes=$(wc -c < in/fine.img)
for part in 3 5 7 9; do
    cp in/fine.img in/byte.img
    dd if=in/fine.img bs=1 skip=$((bytes * part / 10)) count=1 2> stderr |
        tr '\000-\377' '\001-\377\000' |
        dd of=in/byte.img bs=1 seek=$((bytes * part / 10)) conv=notrunc 2> stderr
    refused 126 'byte.img: it is damaged' "$kindling" info in/byte.img
done
refused 125 'on the moon: kvm, qemu or process' "$kindling" run --on "the moon" in/fine.img
refused 125 'name an image' "$kindling" run
refused 125 'arguments come after --' "$kindling" run in/fine.img 1
refused 125 'NAME=VALUE is wanted' "$kindling" run -e =x in/fine.img
refused 125 'in/none.env' "$kindling" run --env-file in/none.env in/fine.img
refused 125 'cannot write the report' "$kindling" run --report out/no/x in/fine.img
refused 125 'cannot start qemu.*install it' env PATH=/nowhere "$kindling" run --on qemu in/fine.img
if [ "$(id -u)" = 0 ] && command -v setpriv > stdout && [ -e /dev/kvm ] &&
        ! setpriv --reuid=65534 --clear-groups test -r /dev/kvm; then
    chmod 755 . in
    chmod 644 in/fine.img
    if setpriv --reuid=65534 --clear-groups test -r "$work/in/fine.img" -a -x "$kindling"; then
        refused 125 '/dev/kvm: Permission denied' setpriv --reuid=65534 --clear-groups \
            "$kindling" run --on kvm "$work/in/fine.img"
    fi
fi

# --- ling ---
refused 1 'ling: .*/nowhere' env ERL_ROOTDIR=/nowhere "$ling" -noshell
refused 1 'ling: .*in/none.args' "$ling" -args_file in/none.args
refused 1 'ling: .*+frob' "$ling" +frob -noshell
refused 1 'ling: +P 10: not a number from 1024' "$ling" +P 10 -noshell
refused 1 'ling: +hmqd stack: neither on_heap nor off_heap' "$ling" +hmqd stack -noshell
cat > expression <<'EOF'
    off_heap = erlang:system_info(message_queue_data),
    [{message_queue_data, off_heap} = process_info(P, message_queue_data)
     || P <- [whereis(init), self(), spawn(fun() -> receive stop -> ok end end)]],
    P = spawn_opt(fun() -> receive stop -> ok end end, [{message_queue_data, on_heap}]),
    {message_queue_data, on_heap} = process_info(P, message_queue_data),
    halt(7).
EOF
for vm in erl "$ling"; do
    "$vm" +hmqd off_heap -noshell -eval "$(cat expression)" > stdout 2> stderr
    [ $? -eq 7 ] && good || bad "$vm +hmqd off_heap: $(tail -3 stderr)"
done
refused 1 'System process <0.0.0> terminated: killed' \
    "$ling" -noshell -eval 'exit(whereis(init), kill).'
# A process that wants all memory dies, ling goes on.
hog="G = fun F(L) -> F([L, L, lists:seq(1, 1000)]) end,
     {P, R} = spawn_monitor(fun() -> G([]) end),
     receive {'DOWN', R, process, P, killed} -> halt(7) end."
(ulimit -v 2000000 && exec "$ling" -noshell -eval "$hog") > stdout 2> stderr
[ $? -eq 7 ] && good || bad "ling and a process that wants all memory: $(tail -3 stderr)"
head -c 1000 "$top/build/test/test.beam" > in/test.beam
cat > expression <<'EOF'
    {error, badfile} = code:load_abs("in/test"),
    {error, nofile} = code:load_file(no_such_module),
    {'EXIT', {undef, [{no_such_module, f, [1], []} | _]}} = (catch no_such_module:f(1)),
    {'EXIT', {badarg, _}} = (catch binary_to_term(<<131, 104, 255>>)),
    {'EXIT', {system_limit, _}} = (catch 1 bsl (1 bsl 40)),
    halt().
EOF
"$ling" -noshell -eval "$(cat expression)" > stdout 2> stderr
[ $? -eq 0 ] && good || bad "ling with bad input: $(head -5 stdout stderr)"

echo "bad input: $passed passed, $failed failed"
[ $failed -eq 0 ]
