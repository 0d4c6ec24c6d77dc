# Every block of code in the reference is a model that `ndec check` accepts without a word.
. "$NDEC_ROOT/tests/case.sh"
awk '/^```nde$/ { n++; line = NR; next }  /^```/ { if (n != last) last = n; inside = 0; line = 0; next }
     line { name = sprintf("block%03d_line%d.nde", n, line); print > name }' "$root/grammar/LANGUAGE.md"
ls block*.nde >/dev/null 2>&1 || fail 'LANGUAGE.md has no blocks'
cp "$examples"/*.npz .
for f in block*.nde; do
    if "$ndec" check "$f" >out 2>err && [ ! -s err ]; then ok "LANGUAGE.md $f"; else fail "LANGUAGE.md $f"; fi
done
# Each model in the reader's guide likewise.
awk '/^```nde$/ { n++; line = NR; next }  /^```/ { line = 0; next }
     line { name = sprintf("readme%03d_line%d.nde", n, line); print > name }' "$root/README.md"
for f in readme*.nde; do
    if "$ndec" check "$f" >out 2>err && [ ! -s err ]; then ok "README.md $f"; else fail "README.md $f"; fi
done
# Names are the user's: those that the emitted C has for itself, too. Each is a let, a parameter, a function or a solve of a
# small network's derivative, so that loops, sums and tables are made beside it.
cat >names.nde <<'END'
precision f64
param NdeRef : real[6, 2] = normal(0.3)
param offsetof : real[2, 6] = normal(0.3)
data vjp : real[2]
data memset : real[2]
fn v1(at : real[2]) -> real[2] {
  layer double = dense(6, tanh)
  return offsetof @ double(at) + at
}
solve nde_solve {
  let h = NdeRef @ u
  let h_w = tanh(h)
  let h_k0 = h_w * 2
  let h_s0 = h_k0 - h
  let h_r = offsetof @ h_s0
  let h_i = h_r + h_r * u
  du = h_i dt
  u(0) = vjp
  time 0 .. 1
  method bosh3
  tolerance 1e-3
}
solve vjp_0 {
  du = v1(u) dt
  u(0) = vjp
  time 0 .. 1
  method bosh3
  tolerance 1e-3
}
loss mse(nde_solve.u(1) + vjp_0.u(1), memset)
output nde_solve.u(1)
train {
  data csv("names.csv")
  batch 2
  optimizer adam(0.01)
  steps 2
}
END
sed 's/vjp_0/vjp/g; s/vjp : /start : /; s/= vjp$/= start/' names.nde >names_vjp.nde
printf '1,2,3,4\n0.5,0.25,0.1,0.2\n' >names.csv
for model in names names_vjp; do
    passes "$model: names of the emitted C" "$ndec" build --draft $model.nde -o $model
    passes "$model: their gradient" ./$model check-gradient
done
