#!/bin/sh
# Built twice, in different directories, time zones, users and umasks: equal bytes.
# First the programs (what C makes of generated code is not generated again), then an
# image of the same application.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
other="$work/an other place"
mkdir -p "$other/build"
chmod 755 "$work"

cd "$top"
cp -a $(git ls-files | cut -d/ -f1 | sort -u) "$other"
ln -s "$top/build/dep" "$other/build/dep"
cp -a build/gen "$other/build/gen"
as=
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --clear-groups test -x "$top/build/dep"; then
    chown -R 65534 "$work"
    as="setpriv --reuid=65534 --clear-groups"
fi
(
    cd "$other"
    umask 027
    TZ=Asia/Tokyo LC_ALL=C HOME="$work" TMPDIR="$work" MAKEFLAGS= \
        $as make kindling examples > "$work/log" 2>&1 ||
        { tail -20 "$work/log"; exit 1; }
)
for f in bin/kindling bin/tender bin/ling.elf bin/kindling.beam build/examples/*/ebin/*; do
    cmp "$f" "$other/$f"
done

mkdir "$work/a dir" "$work/b"
cp -r build/examples/hello "$work/a dir"
cp -r build/examples/hello "$work/b/other"
find "$work/b" -name '*.beam' -exec touch {} +
(cd "$work/a dir" && umask 077 && TZ=Asia/Tokyo "$top/bin/kindling" build -q -o ../a.img \
    --run hello_app run hello)
(cd "$work/b" && umask 0 && TZ=America/New_York LC_ALL=C "$top/bin/kindling" build -q \
    -o ../b.img --run hello_app run other)
cmp "$work/a.img" "$work/b.img"
echo "built in two places${as:+ by two users}: the same bytes"
