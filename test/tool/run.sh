#!/bin/sh
# The commands: what they print about themselves, and one line for each kind of
# bad input. `test/tool/run.sh DIR` tests the kindling in DIR, as installed.
set -u
cd "$(dirname "$0")/../.."
top=$PWD
bin=$(cd "${1:-bin}" && pwd)
kindling=$bin/kindling
hello=$top/build/examples/hello
out=$top/build/test/tool
passed=0
failed=0
rm -rf "$out"
mkdir -p "$out"
cd "$out" || exit 1

good() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAIL $*"; }

# refuses STATUS PATTERN COMMAND...: that status, one line with PATTERN on
# stderr, and no file left but those that were there.
refuses() {
    want=$1 pattern=$2
    shift 2
    ls -A > before
    timeout 600 "$@" > stdout 2> stderr < /dev/null
    got=$?
    ls -A > after
    if [ $got -ne "$want" ]; then bad "$*: status $got, not $want"; sed 4q stderr
    elif [ "$(grep -c . stderr)" -ne 1 ]; then bad "$*: not one line"; sed 4q stderr
    elif ! grep -q -- "$pattern" stderr; then bad "$*: no \"$pattern\" in: $(cat stderr)"
    elif ! cmp -s before after; then bad "$*: leaves a file: $(diff before after)"
    else good; fi
}
# prints PATTERN COMMAND...: ends well, with PATTERN on stdout
prints() {
    pattern=$1
    shift
    timeout 600 "$@" > stdout 2> stderr < /dev/null
    got=$?
    if [ $got -ne 0 ]; then bad "$*: status $got"; sed 4q stderr
    elif ! grep -q -- "$pattern" stdout; then bad "$*: no \"$pattern\""
    else good; fi
}
: > before; : > after; : > stdout; : > stderr

# What the commands say of themselves. Each --help has an example.
prints '^  kindling build' "$kindling" --help
for command in build run info bake; do
    prints "^  kindling $command " "$kindling" $command --help
done
prints '^kindling [0-9]' "$kindling" --version
refuses 125 'no such command' "$kindling" frobnicate
refuses 125 'kindling run --help' "$kindling" run
refuses 125 'kindling info --help' "$kindling" info
refuses 125 'nothing' "$kindling" build
for command in ps logs stop console top exec; do
    "$kindling" --help | grep -q "^  $command " ||
        refuses 125 "$command: .*not exist yet" "$kindling" $command x
done

# A sound image, to damage.
timeout 600 "$kindling" build -q -o good.img --run hello_app run "$hello" || bad "no image"
prints 'LICENCES\|Apache' "$kindling" info --licences good.img
prints 'hello_app.beam' "$kindling" info --inputs good.img
prints 'stdlib' "$kindling" info good.img

# Flags of a vm.args
printf '%s\n' '# flags' '-mode embedded -word "two words"' "-quoted 'it''s' \\# # rest" > vm.args
cat > show.erl <<'EOF'
io:format("~p ~p ~p~n", [init:get_argument(F) || F <- [mode, word, quoted]]), halt().
EOF
timeout 600 "$kindling" build -q -o args.img --vm-args vm.args --eval "$(cat show.erl)" "$hello" ||
    bad "no image with a vm.args"
prints '{ok,\[\["embedded"\]\]} {ok,\[\["two words"\]\]} {ok,\[\["its","#"\]\]}' \
    "$kindling" run --on process args.img

# Options
refuses 125 'cannot run on moon' "$kindling" run --on moon good.img
refuses 125 'cannot take lots for --mem' "$kindling" run --mem lots good.img
refuses 125 'arguments come after --' "$kindling" run good.img stray
refuses 125 'NAME=VALUE' "$kindling" run -e =x good.img
refuses 125 'no/such/file' "$kindling" run --env-file no/such/file good.img
refuses 125 'no/such/report' "$kindling" run --report no/such/report good.img

# Images
refuses 126 'No such file' "$kindling" run none.img
refuses 126 'No such file' "$kindling" info none.img
head -c 100000 good.img > short.img
echo 'not an image' > text.img
: > empty.img
mkdir directory.img
for image in short text empty directory; do
    for command in "run --on process" "run --on kvm" info; do
        [ "$command" = "run --on kvm" ] && ! [ -w /dev/kvm ] && continue
        refuses 126 "cannot .*$image.img" "$kindling" $command $image.img
    done
done
# For another version or processor: the two numbers follow the header's magic.
at=$(LC_ALL=C grep -obUaP '\x49\x4e\x4c\x4b\x4f\x46\x47\x00' good.img | head -1 | cut -d: -f1)
for field in version:8 guest:12 cpu:28; do
    cp good.img other.img
    printf '\143' | dd of=other.img bs=1 seek=$((at + ${field#*:})) conv=notrunc 2> /dev/null
    refuses 126 "cannot run other.img.*99" "$kindling" run other.img
done
refuses 125 'it needs' "$kindling" run --on process --mem 8M good.img

# Without what it takes to run. PATH has no QEMU.
refuses 125 'cannot start qemu' /usr/bin/env PATH=/nonexistent "$kindling" run --on qemu good.img

# Applications
mkdir -p a/ebin b/ebin c/ebin d/ebin e/ebin
printf '{application, a, [{vsn, "1"}, {modules, []}, {applications, [kernel, stdlib, b]}]}.\n' > a/ebin/a.app
printf '{application, b, [{vsn, "1"}, {modules, []}, {applications, [kernel, stdlib, a]}]}.\n' > b/ebin/b.app
printf '{application, c, [{vsn, "1"}, {modules, [gone]}, {applications, [kernel, stdlib]}]}.\n' > c/ebin/c.app
printf '{application, d, [{vsn, "1"}, {modules, []}, {applications, [kernel, nowhere]}]}.\n' > d/ebin/d.app
printf '{application, e, [{vsn, "1"' > e/ebin/e.app
refuses 125 'none\b.*' "$kindling" build -q -o x.img none
refuses 125 '\ba\b.*\bb\b\|\bb\b.*\ba\b' "$kindling" build -q -o x.img a b
refuses 125 'gone' "$kindling" build -q -o x.img c
refuses 125 'nowhere' "$kindling" build -q -o x.img d
refuses 125 'e.app' "$kindling" build -q -o x.img e
refuses 125 'no_such_app' "$kindling" build -q -o x.img --app no_such_app --shell
refuses 125 'no/such/x.img' "$kindling" build -q -o no/such/x.img "$hello"
refuses 125 'directory.img' "$kindling" build -q -o directory.img "$hello"

# Modules: cut short, foreign bytes, another's.
mkdir -p m/ebin
cp "$hello"/ebin/* m/ebin
head -c 300 "$hello"/ebin/hello_app.beam > m/ebin/hello_app.beam
if timeout 600 "$kindling" build -q -o m.img --run hello_app run m > stdout 2> stderr; then
    timeout 600 "$kindling" run --on process m.img > stdout 2>&1 < /dev/null
    got=$?
    [ $got -ne 0 ] && [ $got -ne 134 ] && grep -q hello_app stdout && good ||
        bad "a module cut short: status $got"
else
    [ "$(grep -c . stderr)" -eq 1 ] && grep -q hello_app stderr && good ||
        bad "a module cut short: $(sed 3q stderr)"
fi

# A full disk while building: a size limit stands for it where nobody may mount.
if [ "$(id -u)" -eq 0 ] && unshare -m true 2> /dev/null; then
    mkdir full
    unshare -m sh -c 'mount -t tmpfs -o size=4m none full &&
        timeout 600 "$1" build -q -o full/x.img "$2" > stdout 2> stderr; echo $? > status
        ls -A full > left' - "$kindling" "$hello"
    [ "$(cat status)" -eq 125 ] && grep -q 'No space left' stderr && ! [ -s left ] &&
        [ "$(grep -c . stderr)" -eq 1 ] && good ||
        bad "a full disk: status $(cat status), left $(cat left): $(sed 3q stderr)"
    mkdir fuller
    unshare -m sh -c 'mount -t tmpfs -o size=20m none fuller &&
        timeout 600 "$1" build -q -o fuller/x.img "$2" > stdout 2> stderr; echo $? > status
        ls -A fuller > left' - "$kindling" "$hello"
    [ "$(cat status)" -eq 125 ] && ! [ -s left ] && [ "$(grep -c . stderr)" -eq 1 ] && good ||
        bad "a disk full in translation: status $(cat status), left $(cat left): $(sed 3q stderr)"
    # No /dev/kvm: a process, which is said.
    unshare -m sh -c 'mount -t tmpfs none /dev &&
        timeout 600 "$1" run good.img > stdout 2> stderr < /proc/self/mounts; echo $? > status' - "$kindling"
    [ "$(cat status)" -eq 0 ] && grep -q '/dev/kvm.*as a process' stderr && good ||
        bad "without /dev/kvm: status $(cat status): $(sed 3q stderr)"
    unshare -m sh -c 'mount -t tmpfs none /dev &&
        timeout 600 "$1" run --on kvm good.img > stdout 2> stderr < /proc/self/mounts; echo $? > status' - "$kindling"
    [ "$(cat status)" -eq 125 ] && grep -q '/dev/kvm' stderr && good ||
        bad "--on kvm without /dev/kvm: status $(cat status): $(sed 3q stderr)"
else
    echo "SKIPPED: needs root: a full disk, no /dev/kvm"
fi

# It boots in 48 MB, and an end is the application's.
modes=process
[ -r /dev/kvm ] && [ -w /dev/kvm ] && modes="process kvm"
for mode in $modes; do
    prints 'restarted: true' "$kindling" run --on $mode --mem 48M good.img
done

# A process that exhausts the memory dies; the instance goes on.
timeout 600 "$kindling" build -q -o oom.img --eval 'F = fun F(L) -> F([L, L | L]) end,
    {P, R} = spawn_monitor(fun() -> F([]) end),
    receive {_, R, _, P, Why} -> io:format("it died: ~p~n", [Why]) end, halt(0).'
for mode in $modes; do
    prints 'it died: killed' "$kindling" run --on $mode --mem 64M oom.img
done

echo "commands: $passed passed, $failed failed"
[ $failed -eq 0 ]
