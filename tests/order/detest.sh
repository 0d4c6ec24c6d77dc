# Methods on the non-stiff problems of detest.nde beside SciPy's on the same problems (detest.csv). With the constants of
# its controller the same method takes the same steps: as many evaluations, and the same error. But of c2 and c3 stability
# bounds the steps, so that rounding decides which attempts are rejected.
# One sample alone takes its powers from polynomials, so factors agree to parts in ten thousand only. At 1e-3 orbits are
# so far off that this decides a step, so there its errors are compared in the mean, and its evaluations where SciPy's
# result is not off by 1.
# Then local errors: every accepted step beside the solution through its own start. Hull et al. (1972) judge a method by these,
# for an error at the end is also what the equations make of it: on orbits it grows whoever solves them. The solutions are
# those of dopri5 at 1e-12; all steps of all problems are samples of one batch with steps of their own.
. "$NDEC_ROOT/tests/case.sh"

problems=$(sed -n 's/^solve \([a-z0-9]*\) .*/\1/p' "$root/tests/order/detest.nde")
echo 0 >one.csv
printf '0\n0\n' >two.csv

# compare DATA METHOD SCIPY_METHOD TOLERANCE: lines  problem, evaluations, SciPy's, error, SciPy's
compare() {
    data=$1
    shift
    set -- "$1" "$2" "$3" $(printf -- "--set %s.tolerance=$3\n" $problems)
    method=$1 scipy=$2 tolerance=$3
    shift 3
    ./"$method" predict -i "$data" "$@" 2>err | tail -n 1 | tr ',' '\n' >got
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

# walk METHOD TOLERANCE: the accepted steps of each problem to a file of its own, lines  t, y..
walk() {
    for id in $problems; do
        ./"$1" solve -i one.csv --equation "$id" --set "$id.tolerance=$2" -o "$id.csv" 2>err || fail "$1: solve $id"
        sed -i 1d "$id.csv"
    done
}

# Each solve of detest.nde from a row of data: t, the next t, and y there.
through_starts() {
    awk '/^data zero/ || /^  (method|tolerance)/ { next }
         /^output/ { exit }
         /^solve/ { id = $2; all = all (all ? ", " : "output ") id ".y(" id "_b)"
                    getline line <(id ".csv"); n = split(line, unused, ",") - 1
                    print "data " id "_a : real\ndata " id "_b : real\ndata " id "_y : real" (n > 1 ? "[" n "]" : "") }
         /^  y\(0\)/ { print "  y(" id "_a) = " id "_y"; next }
         /^  time/ { print "  time " id "_a .. " id "_b\n  batching sample\n  method dopri5\n  tolerance 1e-12"; next }
         { print }
         END { print all }' "$root/tests/order/detest.nde"
}

# Rows of that data, one for each step; a problem with fewer steps than another begins again.
starts() {
    awk -F, -v problems="$problems" '
        FNR == 1 { id = FILENAME; sub(/\.csv$/, "", id) }
        FNR > 1 { split(last, from); y = last; sub(/^[^,]*,/, "", y); row[id, n[id]++] = from[1] "," $1 "," y
                  most = n[id] > most ? n[id] : most }
        { last = $0 }
        END { k = split(problems, name, "\n")
              for (i = 0; i < most; i++)
                  for (p = 1; p <= k; p++) printf "%s%s", row[name[p], i % n[name[p]]], p < k ? "," : "\n" }' \
        $(printf '%s.csv ' $problems)
}

# errors TOLERANCE: of each step, over the tolerance, as its own norm has it: lines  problem, error
errors() {
    awk -F, -v problems="$problems" -v tol="$1" '
        function size(x) { return x < 0 ? -x : x }
        FILENAME == "ends.csv" { for (i = 1; FNR > 1 && i <= NF; i++) true[FNR - 2, i] = $i; next }
        FNR == 1 { id = FILENAME; sub(/\.csv$/, "", id); first = at; at += NF - 1 }
        FNR > 1 { sum = 0
                  for (i = 2; i <= NF; i++) {
                      larger = size($i) > size(old[i]) ? size($i) : size(old[i])
                      e = ($i - true[FNR - 2, first + i - 1]) / (tol + tol * larger); sum += e * e }
                  print id, sqrt(sum / (NF - 1)) }
        { for (i = 2; i <= NF; i++) old[i] = $i }' ends.csv $(printf '%s.csv ' $problems)
}

local_errors() { # of the program METHOD at TOLERANCE
    walk "$1" "$2"
    if [ ! -x through ]; then
        through_starts >through.nde
        "$ndec" build --draft through.nde -o through 2>err || { fail 'through.nde: build'; return; }
    fi
    starts >starts.csv
    ./through predict -i starts.csv -o ends.csv 2>err || fail "$1 at $2: predict"
    errors "$2" >all
    awk '{ n++; sum += $2; far += $2 > 10; most = $2 > most ? $2 : most; p[$1] = 1 }
         END { for (id in p) k++; print k, n, sum / n, far + 0, most }' all >found
    read -r k n mean far most <found
    holds "$1 at $2: $n steps of $k problems, off by $mean tolerances in the mean" "$k == 25 && $n > 250 && $mean < 2"
    holds "$1 at $2: $far steps are off by more than ten tolerances, none by more than $most" \
        "$far <= $n / 300 && $most < 20"
}

while read -r method scipy tolerances; do
    sed "s/method METHOD/method $method\n  controller scipy/" "$root/tests/order/detest.nde" >"$method.nde"
    "$ndec" build --draft "$method.nde" -o "$method" 2>err || { fail "$method: build"; continue; }
    for tolerance in $tolerances; do
        compare two.csv "$method" "$scipy" "$tolerance" >compared
        others=$(awk '$2 != $3 { n++ } END { print n + 0 }' compared)
        holds "$method at $tolerance: SciPy's evaluations but for $others problems" "$others <= 1"
        awk -v t="$tolerance" '{ d = $2 / $3 - 1; if (d > 0.1 || d < -0.1 || ($4 > 10 * t && $4 > 1.02 * $5)) print }' \
            compared >err
        if [ -s err ]; then fail "$method at $tolerance: not within ten tolerances, nor as exact as SciPy"; else
            ok "$method at $tolerance: within ten tolerances, or as exact as SciPy to 2 %"; fi
        same=$(awk '$4 < 1.02 * $5 && $4 > 0.98 * $5 || $4 < 1e-13 && $5 < 1e-13 { n++ } END { print n + 0 }' compared)
        holds "$method at $tolerance: on $same problems SciPy's error to 2 %" "$same >= 22"
        compare one.csv "$method" "$scipy" "$tolerance" >compared
        holds "$method at $tolerance: $(wc -l <compared) problems" "$(wc -l <compared) == 25"
        awk '$5 < 1 { d = $2 / $3 - 1; if (d > 0.1 || d < -0.1) print }' compared >err
        if [ -s err ]; then fail "$method at $tolerance: other evaluations than SciPy for one sample"; else
            ok "$method at $tolerance: one sample alone takes the evaluations of SciPy to a tenth"; fi
        mean=$(awk '{ a = $4 > 1e-13 ? $4 : 1e-13; b = $5 > 1e-13 ? $5 : 1e-13; s += log(a / b) }
                    END { printf "%.3f", exp(s / NR) }' compared)
        holds "$method at $tolerance: errors are $mean times those of SciPy" "$mean < 1.2"
        local_errors "$method" "$tolerance"
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
