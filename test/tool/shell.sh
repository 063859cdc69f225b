#!/bin/sh
# The shell in every mode this machine has: test/tool/shell.py.
set -u
cd "$(dirname "$0")/../.."
image=build/test/shell.img
failed=0

mode() {
    name=$1
    shift
    if said=$(python3 test/tool/shell.py "$@"); then
        echo "shell, $name: edits, remembers, wakes; $said"
    else
        echo "FAIL shell, $name: $said"
        failed=1
    fi
}

mkdir -p build/test
bin/kindling build -q -o $image --shell || exit 1
mode hosted bin/ling
mode process bin/kindling run --on process $image
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    mode kvm bin/kindling run --on kvm $image
    kvm=yes
else
    echo "SKIPPED: no /dev/kvm here, the shell was not tested on KVM"
    kvm=
fi
if command -v qemu-system-x86_64 > /dev/null; then
    [ $kvm ] && mode qemu bin/kindling run --on qemu $image
    mode tcg bin/kindling run --on qemu --tcg $image
else
    echo "SKIPPED: no QEMU here, the shell was not tested under it"
fi
exit $failed
