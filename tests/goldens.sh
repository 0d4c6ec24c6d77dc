#!/bin/sh
# goldens.sh: runs golden.sh, which compares messages and dumps with files, and counts what it says.
set -eu
out=$(sh tests/golden.sh "$BUILD/ndec" 2>&1) || true
echo "$out" | sed 's/^\(ok\|FAIL\|skip\) /  \1 /'
passed=$(echo "$out" | sed -n 's/^\([0-9]*\) passed, .*/\1/p' | tail -n 1)
failed=$(echo "$out" | sed -n 's/^[0-9]* passed, \([0-9]*\) failed.*/\1/p' | tail -n 1)
[ -n "$passed" ] || { echo "FAIL golden: golden.sh gave no count"; exit 0; }
i=0
while [ "$i" -lt "$passed" ]; do
    i=$((i + 1))
    echo "ok golden $i"
done
[ "$failed" -eq 0 ] || echo "FAIL golden: $failed files differ (see build/test/results/golden)"
