#!/bin/sh
# golden.sh NDEC [--bless]: compares what the compiler says with the files in tests/golden.
#   bad/X.nde  `ndec check` says exactly bad/X.txt on its standard error, and ends with 1 if that has an error, else 0;
#              bad/X.args, if it is there, holds further words of the command, one a line.
#   ok/X.nde   gives no message; ok/X.ast is its dump of that stage, ok/X.FN.ir the function FN of its dump `ir`.
# Every row of compiler/diag.def must be in some .txt, by its sentence; a row that is all placeholders needs a file with
# its name, as bad/npy_read.nde. --bless writes the files instead: the diff is the review. Ends with the counts.
set -eu
ndec=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
bless=${2:-}
root=$(cd "$(dirname "$0")/.." && pwd)
work=${TMPDIR:-/tmp}/golden.$$
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
export NO_COLOR=1
passed=0 failed=0

pass() { passed=$((passed + 1)); }
fail() {
    echo "FAIL golden $1: $2"
    [ ! -s "$work/diff" ] || sed -n '1,12s/^/     | /p' "$work/diff"
    : >"$work/diff"
    failed=$((failed + 1))
}
# compare NAME GOLDEN GOT
compare() {
    if [ "$bless" = --bless ]; then
        cmp -s "$2" "$3" || cp "$3" "$2"
        pass
    elif [ ! -e "$2" ]; then
        fail "$1" "there is no $(basename "$2")"
    elif diff "$2" "$3" >"$work/diff"; then
        pass
    else
        fail "$1" "the output differs from $(basename "$2")"
    fi
}

cd "$root/tests/golden/bad"
for nde in *.nde; do
    name=${nde%.nde} code=0 wanted=0
    set -- "$nde"
    args=/dev/null
    [ ! -e "$name.args" ] || args=$name.args
    while read -r word; do set -- "$@" "$word"; done <"$args"
    timeout 20 "$ndec" check "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    if grep -q '^[^ ].*: error: \|^error: ' "$work/err"; then wanted=1; fi
    if [ "$code" -ne "$wanted" ]; then
        fail "bad/$name" "exit code $code, not $wanted"
    elif [ -s "$work/out" ]; then
        fail "bad/$name" "something is written to the standard output"
    elif [ ! -s "$work/err" ]; then
        fail "bad/$name" "nothing is wrong with it"
    else
        compare "bad/$name" "$name.txt" "$work/err"
    fi
done
for txt in *.txt; do
    [ -e "${txt%.txt}.nde" ] || fail "bad/$txt" "there is no ${txt%.txt}.nde"
done

cd "$root/tests/golden/ok"
for nde in *.nde; do
    name=${nde%.nde} code=0
    timeout 20 "$ndec" check "$nde" >"$work/out" 2>"$work/diff" </dev/null || code=$?
    if [ "$code" -ne 0 ] || [ -s "$work/diff" ]; then
        fail "ok/$name" "it has messages, exit code $code"
    else
        pass
    fi
    for golden in "$name".*.ir "$name".ast; do
        [ -e "$golden" ] || continue
        stage=${golden##*.}
        "$ndec" check "$nde" --dump="$stage" >"$work/out" 2>/dev/null </dev/null || true
        if [ "$stage" = ir ]; then
            fn=${golden#"$name".} fn=${fn%.ir}
            awk -v head="fn $fn(" 'index($0, head) == 1 { on = 1 } on { print } /^end/ { on = 0 }' "$work/out" \
                >"$work/fn"
            mv "$work/fn" "$work/out"
        fi
        if [ "$(wc -l <"$work/out")" -gt 100 ]; then
            fail "ok/$golden" "a golden longer than 100 lines is read by nobody"
        else
            compare "ok/$golden" "$golden" "$work/out"
        fi
    done
done

# Rows of diag.def, joined where one takes two lines, as `ID pattern`: placeholders match anything, the rest itself.
awk '/^DIAG\(/ { row = "" } /^DIAG\(/, /\)$/ { row = row $0; if (/\)$/) print row }' "$root/compiler/diag.def" |
    sed -e 's/^DIAG(\([A-Z0-9_]*\), *[a-z]*, *"\(.*\)")$/\1 \2/' -e 's/%%/%/g' -e 's/\\"/"/g' |
    sed -e 's/\\/\\\\/g' -e 's/[].[^$*+?(){}|]/\\&/g' -e 's/%[0-9]*l*[a-zA-Z]/.*/g' >"$work/rows"
cat "$root"/tests/golden/bad/*.txt | sed -n 's/^.*: \(error\|warning\): //p' >"$work/messages"
while read -r id pattern; do
    if [ "$pattern" = '.*' ]; then
        file=$(echo "$id" | tr '[:upper:]' '[:lower:]')
        if [ -e "$root/tests/golden/bad/$file.nde" ]; then pass; else fail "$id" "no file $file.nde shows it"; fi
    elif grep -Eqx -e "$pattern" "$work/messages"; then
        pass
    else
        fail "$id" "no golden shows this row of diag.def"
    fi
done <"$work/rows"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
