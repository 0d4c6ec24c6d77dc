# `--accuracy` on the problems of detest.nde, orbits with close encounters among them: where tolerances for the steps leave
# errors of up to a thousand times themselves at the end, what is asked for is met, by each method. The solutions are SciPy's
# (DOP853 at 1e-13).
. "$NDEC_ROOT/tests/case.sh"
echo 0 >one.csv
sed '/^ *a1\.nfe/d; s/^\(output .*\),$/\1/' "$root/tests/order/detest.nde" >problems.nde
problems=$(sed -n 's/^solve \([a-z0-9]*\) .*/\1/p' problems.nde)
# worst ACCURACY: of the results in `got`, how far they are off, over the accuracy and 1 + |number|
worst() {
    awk -F, -v accuracy="$1" -v problems="$problems" '
        FILENAME == "got" { got[n_got++] = $1; next }
        $2 == "RK45" && $3 == "1e-3" { n[$1] = NF - 5; for (i = 6; i <= NF; i++) true[$1, i - 6] = $i }
        END { k = split(problems, name, "\n")
              for (p = 1; p <= k; p++)
                  for (i = 0; i < n[name[p]]; i++) {
                      x = true[name[p], i]; d = got[at++] - x
                      d = (d < 0 ? -d : d) / (1 + (x < 0 ? -x : x)) / accuracy; most = d > most ? d : most }
              print k, at == n_got, most }' got "$root/tests/order/detest.csv"
}
while read -r method tolerances; do
    sed "s/method METHOD/method $method/" problems.nde >"$method.nde"
    "$ndec" build --draft "$method.nde" -o "$method" 2>err || { fail "$method: build"; continue; }
    for tolerance in $tolerances; do
        accuracy=$(awk "BEGIN { print 10 * $tolerance }")
        # shellcheck disable=SC2046
        ./"$method" predict -i one.csv --accuracy "$accuracy" $(printf -- "--set %s.tolerance=$tolerance\n" $problems) \
            >out 2>err || fail "$method at $tolerance: --accuracy $accuracy"
        tail -n 1 out | tr ',' '\n' >got
        read -r k is_all most <<END
$(worst "$accuracy")
END
        times=$(sed -n 's/^note: solved \([0-9]*\) times.*/\1/p' err)
        holds "$method: $k problems within ten times $tolerance, and $most of that, solved ${times:=0} times" \
            "$k == 25 && $is_all && $most < 1 && $times > 1"
    done
done <<END
bosh3 1e-3 1e-6
dopri5 1e-3 1e-6 1e-9
dop853 1e-3 1e-6 1e-9
END
