# `batching sample`: the compiled gradient against differences, for each kind of term, saved times inside and at the ends of
# steps, spans that run backwards, a frozen parameter; and a batch of one sample against the same
# solves with `batching joint`, whose loops forwards and backwards are others.
. "$NDEC_ROOT/tests/case.sh"
awk 'BEGIN { srand(5); print "q,v,rate"
    for (i = 0; i < 20; i++) printf "%.6f,%.6f,%.6f\n", 2 * rand() - 1, 2 * rand() - 1, exp(4 * rand() - 2) }' >all.csv
cat >sample.nde <<'END'
precision f64
data q    : real
data v    : real
data rate : real
const at = [0, 0.3, 0.35, 1]
const then = [0.7, 0.5, 0]
param still : real[2] = [-1, 1] frozen
fn field(z : real[2], t : real, rate : real) -> real[2] {
  layer hidden = dense(6, tanh)
  layer out    = dense(2)
  return rate * out(hidden([z, sin(3 * t)])) + still * [z[1], z[0]]
}
layer start = dense(2)
solve forth {
  dz   = field(z, t, rate) dt
  z(0) = start([q, v])
  time 0 .. 1 save at
  method bosh3
  tolerance 1e-3
  batching sample
  controller pi
  regularize error, unbiased(2), through state, weight 1
  regularize error, global(mean), weight 2
}
solve back {
  let f = field([y, w], t, rate)
  dy   = f[0] dt
  dw   = (w * f[1]) dt
  y(1) = forth.z(1)[0]
  w(1) = rate + forth.z(at)[1, 1]
  time 1 .. 0 save then exactly
  method heun
  tolerance 1e-2
  batching sample
  regularize error, biased, at accepted, weight 1
  regularize h^2 * rms(k[stages] - k[1]), biased, through state, weight 0.2
  regularize error2, global(max), weight 1
}
loss sum(forth.z(at)^3) + sum(back.y(then)^2) + sum(back.w(then))
train {
  data  csv("all.csv")
  steps 1
}
END
sed '/batching sample/d' sample.nde >joint.nde
for name in sample joint; do
    "$ndec" build --draft $name.nde -o $name >out 2>err || fail "$name: build"
    ./$name gradient --set train.batch=1 -o $name.safetensors >$name.out 2>err || fail "$name: gradient"
    grep -v 'tape\|reverse' $name.out >$name.numbers
    sed -n 's/^reverse_nfe //p' $name.out >$name.reverse
done
if ./sample check-gradient >out 2>err; then ok "sample: $(tail -n 1 out)"; else fail "sample: $(tail -n 1 out)"; fi
same 'one sample: loss, terms and counts of the joint solve' sample.numbers joint.numbers
# There each step is formed once more for its reverse.
sample=$(cat sample.reverse) joint=$(cat joint.reverse)
holds "the reverse takes $sample evaluations, $joint of the joint solve" "$sample > 1.9 * $joint && $sample <= 2 * $joint"
