# Tangents beside the states: check-gradient, and the gradient of the same file with `adjoint discrete`, equal to rounding at
# any tolerance, for the steps are the same. In one model: parameters of all shapes, also through values of each sample
# and through starts, a frozen one, saved times, terms at drawn times, an integral, a tolerance for each component, steps of
# each sample, a method that carries two states.
. "$NDEC_ROOT/tests/case.sh"
points 'sin(i), cos(2 * i), 0.1 * i, sin(3 * i), cos(i)'
cat >many.nde <<'END'
precision f64
const seen = [0.2, 0.7, 1]
const then = [0.8, 0.5]
quantity bend = h * rms(k[stages] - k[1])
data x : real[3]
data y : real[2]
param alpha : real = 1.1
param pull  : real = 0.3
param mix   : real[2, 2] = normal(0.4)
param still : real[2] = normal(0.4) frozen
layer drive = dense(1)
layer first = dense(2, tanh)
layer out   = dense(3)
solve flow {
  let w = drive(x)[0]
  let a = first([z, v, t])
  dz   = out(a) dt
  dv   = (w * sin(t) - v * a[0]) dt
  dm   = (m @ mix - sum(still) * m) dt
  z(0) = [x[0], x[1]^2, sin(y[0])]
  v(0) = pull + x[0]
  m(0) = reshape([x[0], pull * x[1], pull^2, y[0]], 2, 2)
  time 0 .. 1 save seen
  tolerance abs [1e-5, 1e-5, 1e-5, 1e-4, 1e-5, 1e-5, 1e-5, 1e-5] rel 1e-4
  adjoint forward
  regularize error, unbiased
  regularize bend, unbiased(2), through state, weight 0.1
  regularize kinetic of z, weight 0.3
}
solve hunt {
  da   = (alpha * a - 0.4 * a * b) dt
  db   = (0.1 * a * b - pull * b) dt
  a(1) = 1.5 + x[0]^2
  b(1) = 1 + flow.v(1)^2
  time 1 .. 0.2 save then
  tolerance 1e-3
  batching sample
  method dopri5
  adjoint forward
  regularize stiffness, biased, through state
}
solve back {
  dz   = (out(first([z, 0, t])) + drive.b[0]) dt
  z(0) = [hunt.a(0.2), hunt.b(0.2), alpha]
  time 0 .. 1 save seen exactly
  step fixed 0.1
  method alf
  adjoint forward
}
loss mse(flow.v(1), y[0]) + 0.1 * sum(flow.z(1)^2) + 0.3 * sum(flow.z(seen)^2) + sum(flow.m(seen)^2)
loss sum(hunt.a(then) * hunt.b(then)) + sum(back.z(seen)^2) + back.z(1)[0]
train {
  data csv("points.csv")
  batch 5
  steps 3
}
END
for adjoint in forward discrete; do
    "$ndec" build --draft many.nde --adjoint $adjoint -o $adjoint >out 2>err || fail "$adjoint: build"
    ./$adjoint gradient -o $adjoint.safetensors >$adjoint.out 2>err || fail "$adjoint: gradient"
    grep -v 'tape\|reverse' $adjoint.out >$adjoint.counts
done
if ./forward check-gradient >out 2>err; then ok "forward: $(tail -n 1 out)"; else fail "forward: $(tail -n 1 out)"; fi
same 'loss, terms and counts' forward.counts discrete.counts

numbers() { # of a tensor of float64, one a line: file, name
    size=$(od -A n -t u8 -N 8 "$1" | tr -d ' ')
    range=$(head -c $((8 + size)) "$1" | tail -c +9 |
        sed 's/.*"'"$2"'":{[^}]*"data_offsets":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/')
    od -A n -v -t f8 -w8 -j $((8 + size + ${range% *})) -N $((${range#* } - ${range% *})) "$1"
}
for name in alpha pull mix drive.W drive.b first.W first.b out.W out.b; do
    for adjoint in forward discrete; do numbers $adjoint.safetensors "grad.$name" >$adjoint.numbers; done
    far=$(paste forward.numbers discrete.numbers | awk '{ d = $1 - $2; d = d < 0 ? -d : d; far = d > far ? d : far
        s = $2 < 0 ? -$2 : $2; size = s > size ? s : size } END { print (NR > 0 && size > 0.01 ? far / size : 1) }')
    holds "$name: forward and discrete differ by $far" "$far < 1e-12"
done

# Of a step only its times are kept, in 24 bytes, with room for the next power of 2.
tape() { ./forward gradient -o g --set back.step.fixed="$1" >out 2>err; sed -n 's/^tape \([0-9]*\) bytes/\1/p' out; }
few=$(tape 0.1) more=$(tape 0.001)
holds "10 steps take $few bytes, 1000 take $more" "$few > 0 && $more - $few < 24 * 1024"
