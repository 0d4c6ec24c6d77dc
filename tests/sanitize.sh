#!/bin/sh
# sanitize.sh: the compiler, its runtime and the unit tests once more, with AddressSanitizer and
# UndefinedBehaviorSanitizer; and every example checked by that ndec.
set -eu
flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
plain=$BUILD
BUILD=$plain/sanitize
SANITIZE=$flags
export BUILD SANITIZE
if ! $MAKE B="$BUILD" CFLAGS="-O1 -g $flags" RFLAGS="-O1 -pthread -ffp-contract=off" build >"$plain/test/sanitize.log" 2>&1; then
    tail -n 5 "$plain/test/sanitize.log"
    echo "FAIL sanitize: the build with sanitizers failed"
    exit 0
fi
sh tests/unit.sh archive
export ASAN_OPTIONS=detect_leaks=0 CK_DEFAULT_TIMEOUT=120
for t in $(grep -l 'int main' tests/unit/*.c); do
    sh tests/unit.sh "$t" | sed 's/^\(ok\|FAIL\) unit/\1 sanitize/'
done
for f in examples/*.nde tests/golden/bad/*.nde; do
    status=0
    "$BUILD/ndec" check "$f" >"$plain/test/sanitize.out" 2>&1 || status=$?
    if [ "$status" -le 1 ] && ! grep -q 'runtime error\|AddressSanitizer' "$plain/test/sanitize.out"; then
        echo "ok sanitize $f"
    else
        echo "FAIL sanitize $f: exit code $status"
        sed -n '1,5s/^/     | /p' "$plain/test/sanitize.out"
    fi
done
