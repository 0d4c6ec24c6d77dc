#!/bin/sh
# Runs the tests: run.sh [unit|golden|sanitize|e2e|order|grad|pytorch|bench ...], by default all but bench.
# Results are under build/test; the last line is `N passed, N failed`. Set JOBS for another number of tests at a time.
set -eu
NDEC_ROOT=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$NDEC_ROOT/build}
CC=${CC:-cc}
JOBS=${JOBS:-2}
MAKE=${MAKE:-make}
export NDEC_ROOT BUILD CC MAKE JOBS
unset MAKEFLAGS MAKELEVEL 2>/dev/null || true
export CK_VERBOSITY=normal NO_COLOR=1
cd "$NDEC_ROOT"
groups=${*:-grad unit sanitize e2e order pytorch golden}
results=$BUILD/test/results
rm -rf "$results"
mkdir -p "$results"

# Jobs, the slow ones first: `FILE SCRIPT ARGUMENT`.
jobs_of() {
    case $1 in
    unit) for t in $(grep -l 'int main' tests/unit/*.c); do echo "unit-$(basename "$t" .c) tests/unit.sh $t"; done ;;
    sanitize)
        for t in $(grep -l 'int main' tests/unit/*.c); do echo "sanitize-$(basename "$t" .c) tests/sanitize.sh $t"; done
        echo "sanitize-models tests/sanitize.sh models"
        ;;
    golden) echo "golden tests/goldens.sh -" ;;
    *) for t in tests/"$1"/*.sh; do echo "$1-$(basename "$t" .sh) $t -"; done ;;
    esac
}
sh tests/unit.sh archive
case " $groups " in *" sanitize "*) sh tests/sanitize.sh build ;; esac
for g in $groups; do jobs_of "$g"; done >"$BUILD/test/jobs"

xargs -P "$JOBS" -L 1 sh -c '
    start=$(date +%s)
    timeout 900 sh "$1" "$2" >"$3/$0" 2>&1 || echo "FAIL $0: the script ended with $?" >>"$3/$0"
    printf "%-24s %3d ok, %d failed, %d s\n" "$0" "$(grep -c "^ok " "$3/$0")" "$(grep -c "^FAIL " "$3/$0")" \
        "$(($(date +%s) - start))"
' <<END
$(sed "s|\$| $results|" "$BUILD/test/jobs")
END

case " $groups " in *" bench "*)
    cat "$results"/bench-*
    for how in met missed; do echo "targets $how: $(cat "$results"/bench-* | grep -c "target .*: $how")"; done
    ;;
esac
cat "$results"/* | grep -E '^(FAIL|skip|     \|)' || true
passed=$(cat "$results"/* | grep -c '^ok ' || true)
failed=$(cat "$results"/* | grep -c '^FAIL ' || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
