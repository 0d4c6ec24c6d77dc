# Methods on the non-stiff problems of detest.nde beside SciPy's on the same problems (detest.csv): with the constants of
# its controller the same method takes the same evaluations, and is as exact. At 1e-3 orbits are so far off that rounding
# decides a step, so there errors are compared in the mean only, and evaluations where SciPy's result is not off by 1.
. "$NDEC_ROOT/tests/case.sh"

problems=$(sed -n 's/^solve \([a-z0-9]*\) .*/\1/p' "$root/tests/order/detest.nde")
echo 0 >zero.csv

# compare METHOD SCIPY_METHOD TOLERANCE: lines  problem, evaluations, SciPy's, error, SciPy's
compare() {
    set -- "$1" "$2" "$3" $(printf -- "--set %s.tolerance=$3\n" $problems)
    method=$1 scipy=$2 tolerance=$3
    shift 3
    ./"$method" predict -i zero.csv "$@" 2>err | tail -n 1 | tr ',' '\n' >got
    awk -F, -v scipy="$scipy" -v tolerance="$tolerance" -v problems="$problems" '
        FILENAME == "got" { got[n_got++] = $1; next }
        $2 == scipy && $3 == tolerance { count[$1] = $4; error[$1] = $5; n[$1] = NF - 5
                                         for (i = 6; i <= NF; i++) true[$1, i - 6] = $i }
        END { split(problems, name, "\n")
              for (p = 1; p in name; p++) {
                  most = 0; id = name[p]
                  for (i = 0; i < n[id]; i++) {
                      d = got[at++] - true[id, i]; d = d < 0 ? -d : d; most = d > most ? d : most }
                  off[p] = most }
              for (p = 1; p in name; p++)
                  print name[p], got[at + p - 1], count[name[p]], off[p], error[name[p]] }' got "$root/tests/order/detest.csv"
}

while read -r method scipy tolerances; do
    sed "s/method METHOD/method $method\n  controller scipy/" "$root/tests/order/detest.nde" >"$method.nde"
    "$ndec" build --draft "$method.nde" -o "$method" 2>err || { fail "$method: build"; continue; }
    for tolerance in $tolerances; do
        compare "$method" "$scipy" "$tolerance" >compared
        holds "$method at $tolerance: $(wc -l <compared) problems" "$(wc -l <compared) == 25"
        awk '$5 < 1 { d = $2 / $3 - 1; if (d > 0.1 || d < -0.1) print }' compared >err
        if [ -s err ]; then fail "$method at $tolerance: other evaluations than SciPy"; else
            ok "$method at $tolerance: the evaluations of SciPy"; fi
        mean=$(awk '{ a = $4 > 1e-13 ? $4 : 1e-13; b = $5 > 1e-13 ? $5 : 1e-13; s += log(a / b) }
                    END { printf "%.3f", exp(s / NR) }' compared)
        holds "$method at $tolerance: errors are $mean times those of SciPy" "$mean < 1.3"
        [ "$tolerance" != 1e-3 ] || continue
        awk -v t="$tolerance" '$4 > 10 * t && $4 > 2 * $5' compared >err
        if [ -s err ]; then fail "$method at $tolerance: less exact"; else
            ok "$method at $tolerance: within ten times the tolerance, or twice the error of SciPy"; fi
    done
done <<END
bosh3 RK23 1e-3 1e-6
dopri5 RK45 1e-3 1e-6 1e-9
dop853 DOP853 1e-3 1e-6 1e-9
END
