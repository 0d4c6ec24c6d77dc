# The normalising flow of the examples, compiled without optimisation (its C code is long) and trained a little: the
# gradient; the loss falls; the density that predict gives has the integral 1, over a grid; and drawn points lie where the
# density says.
. "$NDEC_ROOT/tests/case.sh"
"$ndec" build --draft "$examples/cnf.nde" -o cnf >out 2>err || fail 'cnf: build'
if ./cnf check-gradient --data "$examples" --entries 3 >out 2>err; then ok "cnf: $(tail -n 1 out)"; else fail "cnf: $(tail -n 1 out)"; fi
passes 'a short training' ./cnf train --quiet --data "$examples" --out run --set train.steps=60
first=$(sed -n '1s/.*"loss":\([-0-9.e]*\).*/\1/p' run/log.jsonl)
last=$(sed -n 's/.*"evaluation":[^,]*,"loss":\([-0-9.e]*\).*/\1/p' run/log.jsonl | tail -n 1)
holds "negative log-likelihood from $first to $last" "$last < 3.5 && $first > 4.5"
awk 'BEGIN { for (i = 0; i < 48; i++) for (j = 0; j < 48; j++) printf "%g,%g\n", i / 4 - 5.875, j / 4 - 5.875 }' >grid.csv
passes 'evaluation' ./cnf eval --weights run/weights.safetensors --data "$examples"
passes 'a trajectory' ./cnf solve --weights run/weights.safetensors --data "$examples" --sample 0 --points 5 --equation back
holds 'a line for each point' "$(wc -l <out) == 6"
passes 'density on a grid' ./cnf predict --weights run/weights.safetensors -i grid.csv -o density.csv
passes 'points, and the density of the test data' ./cnf predict --weights run/weights.safetensors --data "$examples" -o points.csv
# shellcheck disable=SC2046
set -- $(awk -F, 'NR == FNR { x[NR] = $1; next }
        FNR > 1 { p = exp($3) / 16; all += p; if (x[FNR - 1] > 0.5) right += p }
    END { print all, right }' grid.csv density.csv) $(awk -F, 'NR > 1 { n++; right += $1 > 0.5 } END { print n, right / n }' points.csv)
holds "the density adds up to $1" "($1 - 1)^2 < 0.01^2"
holds "of $3 points $4 are at the right, of the density $2" "$3 == 1000 && $2 > 0.1 && $2 < 0.9 && ($2 - $4)^2 < 0.06^2"
