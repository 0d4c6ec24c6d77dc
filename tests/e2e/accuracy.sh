# `--accuracy` of predict and solve: results settle to the closed form, whatever bounds the steps; what cannot be met, and
# what makes no sense, says so and writes nothing. (tests/order/accuracy.sh: hard problems.)
. "$NDEC_ROOT/tests/case.sh"
model() { # name, clauses, precision
    cat >"$1.nde" <<END
$3
data x : real
solve decay {
  dz   = (cos(t) * z) dt
  z(0) = x
  time 0 .. 20
$2
}
solve path {
  dz   = (-z) dt
  z(0) = decay.z(20)
  time 0 .. 1
  step fixed 0.125
  method heun
}
output path.z(1), decay.z(20)
END
    "$ndec" build --draft "$1.nde" -o "$1" 2>err || fail "build $1"
}
printf '1\n-2\n0.5\n' >x.csv
right() { # accuracy: z(20) = x exp(sin 20), then times exp(-1)
    sed 1d out.csv | paste -d, x.csv - | awk -F, -v a="$1" '
        { n++; e = $1 * exp(sin(20)); d = $3 - e; f = $2 - e * exp(-1)
          if (d * d > a * a * (1 + e * e) || f * f > a * a * (1 + e * e)) bad++ }
        END { exit !(n == 3 && !bad) }'
}
model adaptive '  tolerance 1e-3' 'precision f64'
model bounded '  tolerance 1e-2
  step max 0.1' 'precision f64'
model fixed '  step fixed 0.5
  method rk4' 'precision f64'
model one_by_one '  tolerance 1e-3
  batching sample' 'precision f64'
for m in adaptive bounded fixed one_by_one; do
    for a in 1e-4 1e-7; do
        passes "$m: --accuracy $a" ./$m predict -i x.csv -o out.csv --accuracy $a
        if right $a; then ok "$m: within $a of the closed form"; else fail "$m: not within $a: $(tr '\n' ' ' <out.csv)"; fi
        if grep -q '^note: solved [0-9]* times.*errors are about' err; then ok "$m: and it tells"; else fail "$m: no note"; fi
    done
done
cat >easy.nde <<END
precision f64
data x : real
solve line {
  dz   = 2 dt
  z(0) = x
  time 0 .. 1
  tolerance 1e-3
}
output line.z(1)
END
"$ndec" build --draft easy.nde -o easy 2>err || fail 'build easy'
passes 'more exact from the start' ./easy predict -i x.csv -o out.csv --accuracy 1e-9
holds 'and right' "$(sed 1d out.csv | paste -d, x.csv - | awk -F, '{ s += ($2 - $1 - 2)^2 } END { print s + (NR != 3) }') < 1e-24"
./adaptive predict -i x.csv -o plain.csv
cp plain.csv out.csv
if right 1e-4; then fail 'the plain solve is as exact: nothing is tested'; else ok 'the plain solve is not as exact'; fi
./adaptive predict -i x.csv -o threads.csv --accuracy 1e-7 --threads 1 2>err
./adaptive predict -i x.csv -o out.csv --accuracy 1e-7 --threads 2 2>err
same 'the same for any number of threads' out.csv threads.csv

passes 'solve --points' ./adaptive solve -i x.csv --sample 1 --points 5 --accuracy 1e-7 -o out.csv
sed 1d out.csv | awk -F, '{ d = $2 + 2 * exp(sin($1)); if (d > 1e-6 || d < -1e-6) bad++; n++ } END { exit !(n == 5 && !bad) }' &&
    ok 'a trajectory within the accuracy' || fail "a trajectory: $(tr '\n' ' ' <out.csv)"
ends 2 'solve without --points' 'accepted steps are other ones.*--points' ./adaptive solve -i x.csv --accuracy 1e-7
ends 2 'an accuracy of nothing' 'above 0' ./adaptive predict -i x.csv --accuracy 0
model single '  tolerance 1e-5' ''
rm -f out.csv
ends 3 'more than float32 has' "'[a-z]*.z.*still changes by.*precision f64" ./single predict -i x.csv --accuracy 1e-12 -o out.csv
if [ -e out.csv ]; then fail 'a result that is not exact enough was written'; else ok 'nothing is written then'; fi
printf 'data x : real\noutput 2 * x\n' >none.nde
"$ndec" build --draft none.nde -o none 2>err || fail 'build none'
ends 2 'a model without a solve' 'no tolerance and no fixed step' ./none predict -i x.csv --accuracy 1e-6
