# Functions of the prelude that are made of others: their values beside formulas in awk, relative to 1e-13, small and large
# arguments included, and the gradient of all of them.
. "$NDEC_ROOT/tests/case.sh"
cat >functions.nde <<'END'
precision f64
data x : real[9]
data y : real
param shift : real = 0.1
let u = x + shift
let positive = x^2 + 0.5 + shift^2
output gelu(x), silu(x), mish(x), leaky_relu(x), leaky_relu(x, 0.2), elu(x), elu(x, 2), clamp(x, -1, 2), tan(x), sinh(x),
       cosh(x), log2(x^2 + 0.5), log10(x^2 + 0.5), logsumexp(x)
loss mse(mean(sin(gelu(u) + silu(u) + mish(u)) + leaky_relu(u, 0.2) + elu(u, 2) + clamp(u, -1, 2) + tan(u) + sinh(u) + cosh(u)
                  + log2(positive) + log10(positive)) + logsumexp(u), y)
train {
  data csv("train.csv")
  batch 2
  steps 1
}
END
# 40 is where e^-x is lost beside e^x; 1e-9 where e^x - e^-x loses nine digits. No entry is at a bend but -1 and 0.
printf '0.3,-0.7,1e-9,-1e-9,40,-40,1.2,-2.5,0,0.5\n-3,2.5,0.1,-0.2,3,-1.3,1.4,0.6,-0.9,0.25\n' >x.csv
sed 's/40,-40/4,-4/' x.csv >train.csv
"$ndec" build functions.nde -o functions >out 2>err || fail 'build'
./functions train --quiet --out run >out 2>err || fail 'train'
./functions predict --weights run/weights.safetensors -i x.csv -o out.csv >out 2>err || fail 'predict'
awk -F, '
    function e(x) { return exp(x) }
    function small(x) { return x < 0.01 && x > -0.01 }
    function erf(x, n, sum, term) { # its series; beyond 6 it is 1 or -1
        if (x > 6 || x < -6) return x > 0 ? 1 : -1
        sum = term = x
        for (n = 1; n < 200; n++) { term *= -x * x / n; sum += term / (2 * n + 1) }
        return 2 / sqrt(atan2(0, -1)) * sum }
    function expm1(x) { return small(x) ? x + x * x / 2 + x * x * x / 6 + x ^ 4 / 24 + x ^ 5 / 120 : e(x) - 1 }
    function softplus(x) { return x > 30 ? x : log(1 + e(x)) }
    function tanh(x) { return x > 20 ? 1 : x < -20 ? -1 : expm1(2 * x) / (expm1(2 * x) + 2) }
    function sinh(x) { return small(x) ? x + x * x * x / 6 + x ^ 5 / 120 : (e(x) - e(-x)) / 2 }
    function value(f, x) {
        if (f == 0) return x * (1 + erf(x / sqrt(2))) / 2
        if (f == 1) return x / (1 + e(-x))
        if (f == 2) return x * tanh(softplus(x))
        if (f == 3) return x > 0 ? x : 0.01 * x
        if (f == 4) return x > 0 ? x : 0.2 * x
        if (f == 5) return x > 0 ? x : expm1(x)
        if (f == 6) return x > 0 ? x : 2 * expm1(x)
        if (f == 7) return x < -1 ? -1 : x > 2 ? 2 : x
        if (f == 8) return sin(x) / cos(x)
        if (f == 9) return sinh(x)
        if (f == 10) return (e(x) + e(-x)) / 2
        if (f == 11) return log(x * x + 0.5) / log(2)
        return log(x * x + 0.5) / log(10) }
    function check(what, got, want, d, size) {
        d = got - want; d = d < 0 ? -d : d; size = want < 0 ? -want : want
        n++
        if (!(d <= 1e-13 * size || d < 1e-15 * (what < 3))) print "function " what ": " got ", not " want }
    FILENAME == "x.csv" { for (i = 1; i <= 9; i++) x[FNR, i] = $i; next }
    FNR > 1 { row = FNR - 1; sum = 0
              for (f = 0; f < 13; f++) for (i = 1; i <= 9; i++) check(f, $(9 * f + i), value(f, x[row, i]))
              for (i = 1; i <= 9; i++) sum += e(x[row, i] - x[row, 5])
              check(13, $118, x[row, 5] + log(sum)) }
    END { if (n != 236) print n " numbers, not 236" }' x.csv out.csv >err 2>&1
if [ -s err ]; then fail 'values of functions'; else ok 'values of functions'; fi
passes 'their gradient' ./functions check-gradient
