#!/bin/sh
# The demonstration of `make demo`: demo.sh NDEC. Trains digits_ode.nde for five seeds, with its regularisation and
# without, and shows what came of it. Everything is written to a folder of its own, which is removed.
set -eu
ndec=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/ndec-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
digits="$work/digits"

echo "Handwritten digits as a neural ODE: examples/digits_ode.nde"
"$ndec" build "$here/digits_ode.nde" -o "$digits"

train() { # folder, seed, further arguments
    folder=$1 seed=$2
    shift 2
    "$digits" train --quiet --threads 1 --data "$here" --out "$work/$folder$seed" --seed "$seed" "$@"
}
value() { # folder, key of the evaluation in its summary
    sed -n "s/.*\"evaluation\":{\(.*\)}.*/\1/p" "$work/$1/summary.json" | sed -n "s/.*\"$2[^\"]*\":\([0-9.e+-]*\).*/\1/p"
}
printf '\n%-6s%-34s%s\n' '' 'with  regularize error' 'without'
printf '%-6s%-18s%-16s%-18s%s\n' seed 'test accuracy' evaluations 'test accuracy' evaluations
for seed in 0 1 2 3 4; do
    train with "$seed" &
    train without "$seed" --set flow.regularize.weight=0
    wait $!
    echo "$seed $(value with$seed accuracy) $(value with$seed nfe) $(value without$seed accuracy) $(value without$seed nfe)"
done | awk '
    { printf "%-6s%-18.4f%-16.1f%-18.4f%.1f\n", $1, $2, $3, $4, $5; for (i = 2; i <= 5; i++) s[i] += $i }
    END { printf "%-6s%-18.4f%-16.1f%-18.4f%.1f\n", "mean", s[2] / NR, s[3] / NR, s[4] / NR, s[5] / NR }'
echo
echo "'evaluations' is how often a solve evaluates the field, at the same tolerance."
echo
echo "Three images, and what the first network makes of them:"
gzip -dc "$here/digits.csv.gz" | sed -n '1p;500p;1200p' >"$work/three.csv"
"$digits" predict --weights "$work/with0/weights.safetensors" -i "$work/three.csv" -o "$work/guess.csv"
awk -F, '
    NR == FNR { if (FNR > 1) { best = 1; for (i = 2; i <= 10; i++) if ($i > $best) best = i; guess[FNR - 1] = best - 1
                               sure[FNR - 1] = 100 * $best } next }
    { for (row = 0; row < 8; row++) { line = ""
        for (i = 1; i <= 8; i++) { x = $(row * 8 + i); line = line (x > 11 ? "##" : x > 5 ? "++" : x > 1 ? ". " : "  ") }
        text[row] = sprintf("%s   %-18s", text[row], line) }
      under = under sprintf("   %-18s", sprintf("%d  (%.1f %%)", guess[FNR], sure[FNR])) }
    END { for (row = 0; row < 8; row++) print text[row]; print under }' "$work/guess.csv" "$work/three.csv"
