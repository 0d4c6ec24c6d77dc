# check-gradient through stages that only dense output has, and through two error estimates that are combined: saved times
# and drawn ones of methods with stages behind those of the step, with and without the first stage of the next among them.
. "$NDEC_ROOT/tests/case.sh"

cat >methods.nde <<'END'
precision f64
quantity both = rms(scaled(err2)) * estimate + h * rms(k[stages] - k[stages - 1])
const shown = [0.2, 0.55, 0.9, 1.3]

data x : real[3]
data y : real[3]

fn field(z : real[3], t : real) -> real[3] {
  layer hidden = dense(5, tanh)
  layer out    = dense(3)
  return out(hidden([2 * z, t]))
}

solve eight {
  dz   = field(z, t) dt
  z(0) = x
  time 0 .. 1.5 save shown
  method dop853
  tolerance abs 1e-6 rel 1e-5
  regularize error, global, weight 0.1
  regularize both, unbiased, through state, weight 0.2
}
solve seven {
  dz   = field(z, t) dt
  z(0) = x
  time 0 .. 1.5
  method vern7
  tolerance abs 1e-6 rel 1e-5
  regularize error2, unbiased(2), through state, weight 0.1
}
param pull : real = 0.3
solve four {
  du   = (field(u, t) - pull * u^3) dt
  u(0) = y
  time 0 .. 1.5 save shown
  method fehlberg45
  tolerance abs 1e-4 rel 1e-3
}
loss mse(eight.z(shown), four.u(shown)) + 0.1 * sum(seven.z(1.5)^2)
train {
  data  csv("points.csv")
  batch 5
  steps 100
  optimizer adam(0.01)
}
END
awk 'BEGIN { print "x0,x1,x2,y0,y1,y2"
             for (i = 0; i < 20; i++) { for (j = 0; j < 6; j++) printf "%s%.3f", j ? "," : "", sin(i * 7 + j * 3); print "" } }' |
    sed 1d >points.csv
passes 'the methods build' "$ndec" build --draft methods.nde -o methods
passes 'the gradient through dense output and both estimates' ./methods check-gradient
