#!/bin/sh
# sanitize.sh build: the compiler and its runtime once more, with AddressSanitizer and UndefinedBehaviorSanitizer.
# sanitize.sh FILE.c: that unit test with them. sanitize.sh models: every example and golden, checked by that ndec.
set -eu
flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
log=$BUILD/test/sanitize.log
BUILD=$BUILD/sanitize
SANITIZE=$flags
export BUILD SANITIZE
export ASAN_OPTIONS=detect_leaks=0 CK_DEFAULT_TIMEOUT=120
case $1 in
build)
    if ! $MAKE -j"$JOBS" B="$BUILD" CFLAGS="-O1 -g $flags" RFLAGS="-O1 -pthread -ffp-contract=off" build >"$log" 2>&1; then
        tail -n 5 "$log"
        echo 'sanitize.sh: the build with sanitizers failed'
        exit 1
    fi
    sh tests/unit.sh archive
    ;;
models)
    for f in examples/*.nde tests/golden/bad/*.nde tests/golden/ok/*.nde; do
        status=0
        "$BUILD/ndec" check "$f" >"$log" 2>&1 || status=$?
        if [ "$status" -le 1 ] && ! grep -q 'runtime error\|AddressSanitizer' "$log"; then
            echo "ok sanitize $f"
        else
            echo "FAIL sanitize $f: exit code $status"
            sed -n '1,5s/^/     | /p' "$log"
        fi
    done
    ;;
*)
    sh tests/unit.sh "$1" | sed 's/^\(ok\|FAIL\) unit/\1 sanitize/'
    ;;
esac
