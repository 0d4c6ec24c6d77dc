# Times of observation as data, another number of them and another span for each sample: a thousand samples of 1 to 50
# points are one batch; the states there are those of the closed form, interpolated and exactly; 0 behind the last; the
# gradient is that of what was computed; and wrong times are named.
. "$NDEC_ROOT/tests/case.sh"

# q' = -0.7 rate v, v' = 0.8 rate q from (1, 0), hence q = cos(w t) with w = sqrt(0.56) rate; observed is cos(rate t). In
# each sample n times, the first and the last now and then those of the span; behind them what must not matter.
awk 'BEGIN { srand(1); print "rate,n,last" >"sample.csv"; print "when,y" >"times.csv"
    for (i = 0; i < 1000; i++) {
        n = 1 + int(50 * rand())
        last = sprintf("%.6f", 0.2 + 2 * rand())
        printf "%.6f,%d,%s\n", rate = sprintf("%.6f", exp(3 * rand() - 1)), n, last >"sample.csv"
        for (k = 0; k < 50; k++) {
            t = sprintf("%.6f", last * (k + 0.999 * rand()) / n)
            if (k == 0 && rand() < 0.2) t = 0
            if (k == n - 1 && rand() < 0.2) t = last
            if (k < n) printf "%s,%.12f\n", t, cos(rate * t) >"times.csv"; else print "-7,0" >"times.csv"
        } } }'
cat >ragged.nde <<'END'
precision f64
data rate : real
data n    : real
data last : real
data when : real[50]
data y    : real[50]
param gain  : real = 0.7
param speed : real = 0.8
solve flow {
  dq   = -rate * v * gain dt
  dv   = (rate * q * speed) dt
  q(0) = 1
  v(0) = 0
  time 0 .. last save when count n
  tolerance 1e-7
  batching sample
  regularize error, unbiased, weight 0.1
}
solve stops {
  dz   = (rate * [-z[1] * gain, z[0] * speed]) dt
  z(0) = [1, 0]
  time 0 .. last save when exactly count n
  method bosh3
  tolerance 1e-6
  batching sample
}
loss   sum(square(flow.q(when) - y)) / n + 0.1 * sum(square(stops.z(when)[:, 0] - y)) / n
loss   sum(stops.z(last) * stops.z(when)[0]) * 0.001
output flow.q(when), stops.z(when)[:, 1], flow.q(last)
train {
  data      csv("sample.csv"), csv("times.csv", rows = 50)
  batch     1000
  steps     25
  optimizer adam(0.03)
}
END
"$ndec" build ragged.nde -o ragged >out 2>err || fail 'build'
if ./ragged check-gradient >out 2>err; then ok "gradient: $(tail -n 1 out)"; else fail "gradient: $(tail -n 1 out)"; fi

./ragged train --quiet --set train.steps=1 --set train.optimizer.rate=1e-30 --out same >out 2>err || fail 'train'
./ragged predict --weights same/weights.safetensors -o out.csv >out 2>err || fail 'predict'
./ragged predict --weights same/weights.safetensors --set train.batch=1 -o alone.csv >out 2>err || fail 'predict alone'
same 'each of the thousand samples alone' out.csv alone.csv
# The worst error: of interpolated values, of those at the ends of steps, of the end of the span, behind the last.
awk -F, 'function off(x, y) { return x > y ? x - y : y - x }
    FILENAME == "sample.csv" { if (FNR > 1) { rate[FNR - 2] = $1; n[FNR - 2] = $2; last[FNR - 2] = $3 } next }
    FILENAME == "times.csv" { if (FNR > 1) when[FNR - 2] = $1; next }
    FNR > 1 { i = FNR - 2; w = rate[i] * sqrt(0.56)
        for (k = 0; k < 50; k++) {
            t = w * when[50 * i + k]
            e = k < n[i] ? off($(1 + k), cos(t)) : 0; if (e > e1) e1 = e
            e = k < n[i] ? off($(51 + k), sqrt(0.8 / 0.7) * sin(t)) : 0; if (e > e2) e2 = e
            e = k < n[i] ? 0 : off($(1 + k), 0) + off($(51 + k), 0); if (e > e4) e4 = e
        }
        e = off($101, cos(w * last[i])); if (e > e3) e3 = e; rows++ }
    END { print e1 + 0, e2 + 0, e3 + 0, e4 + 0, rows }' sample.csv times.csv out.csv >errors
read -r inside at_ends end behind rows <errors
holds "$rows samples: interpolated to $inside" "$rows == 1000 && $inside < 2e-5 && $inside > 0"
holds "at ends of steps to $at_ends" "$at_ends < 1e-4 && $at_ends > 0"
holds "ends of spans to $end" "$end < 2e-6 && $end > 0"
holds "behind the last $behind" "$behind == 0"

./ragged train --quiet --out run >out 2>err || fail 'train'
first=$(sed -n '1s/.*"loss":\([-0-9.e]*\).*/\1/p' run/log.jsonl)
last=$(sed -n 's/.*"loss":\([-0-9.e]*\).*/\1/p' run/log.jsonl | tail -n 1)
holds "a batch of 1000 ragged samples learns: loss from $first to $last" "$last < 0.1 * $first && $last > 0"

# wrong NAME FILE LINE TEXT PATTERN: with another line in one of the files
wrong() {
    mkdir -p wrong
    cp sample.csv times.csv wrong
    sed "$3s/.*/$4/" "$2.csv" >"wrong/$2.csv"
    ends 4 "$1" "$5" ./ragged predict --data wrong --weights same/weights.safetensors
}
wrong 'a count too large' sample 4 '1,51,1' 'sample 2 of the data: the count .* 51, not a whole number from 0 to 50'
wrong 'half a count' sample 5 '1,2.5,1' 'sample 3 .* 2.5'
wrong 'a time outside' times 103 '9,0' "sample 2 .*: entry 1 .* 'flow' is 9, outside of the span"
wrong 'a time that goes back' times 104 '0.0000001,0' 'sample 2 .*: entry 2 .* is 1e-07, but the one before'
mkdir -p wrong
sed '4s/.*/1e200,3,1/' sample.csv >wrong/sample.csv
cp times.csv wrong
ends 3 'a solve that fails' 'of sample 2 of the data' ./ragged predict --data wrong --weights same/weights.safetensors

# The path of one sample ends where its prediction does, at its own end of the span.
passes 'a path' ./ragged solve --equation flow --sample 7 --weights same/weights.safetensors
tail -n 1 out >path
passes 'a path at points' ./ragged solve --equation flow --sample 7 --points 5 --weights same/weights.safetensors
tail -n 1 out >points
awk -F, 'NR == 9 { print $3 }' sample.csv >expected
awk -F, 'NR == 9 { print $101 }' out.csv >>expected
for name in path points; do tr , '\n' <$name | sed 2q >"$name.ends" && same "$name: end of the span and state there" expected "$name.ends"; done
