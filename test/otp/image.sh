#!/bin/sh
# The VM that run.py starts, when it is an image: image.sh ON IMAGE erl's arguments.
# The suites are in the image, under /t; mini_ct's arguments go along as plain ones.
on=$1 image=$2
shift 2
dir=$(cd "$(dirname "$0")/../.." && pwd)
suite=
for a; do
    case $a in
    -noshell|-pa|-s|mini_ct|run|-enable-feature|maybe_expr) ;;
    */ebin|*_test) ;;
    nopeer=*) suite="$suite nopeer=/t/ebin/nopeer" ;;
    root=*) suite="$suite root=/t" ;;
    *) suite="$suite $a" ;;
    esac
done
# shellcheck disable=SC2086
exec "$dir/bin/kindling" run --on "$on" --mem 2G "$image" -- $suite
