#!/bin/sh
# unit.sh FILE.c: builds one unit test with the objects in $BUILD and runs it, and once more with the flags of each line
# `/* flags: ... */` in it. $SANITIZE: flags for a build with checks.
# unit.sh archive: collects those objects first, the program's main under another name.
set -eu
if [ "$1" = archive ]; then
    mkdir -p "$BUILD/test"
    objcopy --redefine-sym main=ndec_main "$BUILD/compiler/main.o" "$BUILD/test/ndec_main.o"
    rm -f "$BUILD/test/libndec.a"
    find "$BUILD/compiler" "$BUILD/gen" -name '*.o' ! -name main.o | sort |
        xargs ar rcs "$BUILD/test/libndec.a" "$BUILD/test/ndec_main.o"
    exit 0
fi
name=$(basename "$1" .c)
mkdir -p "$BUILD/test/unit"
beside=
for f in tests/unit/*.c; do # files without a main serve the tests that read their header
    head=$(basename "$f" .c).h
    if ! grep -q 'int main' "$f" && grep -q "\"$head\"" "$1"; then beside="$beside $f"; fi
done
# build_and_run FLAGS
build_and_run() {
    # shellcheck disable=SC2086
    if ! $CC -std=c11 -D_POSIX_C_SOURCE=200809L -pedantic -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wformat=2 -Wdouble-promotion -Wundef -O1 -g ${SANITIZE:-} $1 \
        -iquote compiler -iquote runtime -iquote tests/unit "$file" $beside "$BUILD/test/libndec.a" "$BUILD/libnde.a" \
        -o "$BUILD/test/unit/$name" -lcheck -lsubunit -lgmp -lcjson -lz -lm -lrt -lpthread 2>&1; then
        echo "FAIL unit $name $1: it does not compile"
        return
    fi
    status=0
    out=$(timeout 600 "$BUILD/test/unit/$name" 2>&1) || status=$?
    echo "$out"
    checks=$(echo "$out" | sed -n 's/.*Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' |
        awk '{ n += $1; bad += $2 + $3 } END { print n + 0, bad + 0 }')
    n=${checks% *} bad=${checks#* }
    i=0
    while [ "$i" -lt "$((n - bad))" ]; do
        i=$((i + 1))
        echo "ok unit $name $i $1"
    done
    if [ "$status" -ne 0 ] || [ "$bad" -ne 0 ] || [ "$n" -eq 0 ]; then
        echo "FAIL unit $name $1: $bad of $n checks, exit code $status"
        echo "$out" | grep -E ':[EF]:|ERROR: |runtime error' | head -n 8 | sed 's/^/     | /' || true
    fi
}
file=$1
build_and_run ''
sed -n 's|^/\* flags: \(.*\) \*/$|\1|p' "$file" >"$BUILD/test/unit/$name.flags"
while read -r flags; do build_and_run "$flags" </dev/null; done <"$BUILD/test/unit/$name.flags"
