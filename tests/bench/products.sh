# A field of two dense layers, 512-512-512, batch 512, a fixed number of steps forwards: the time of the emitted program over
# what OpenBLAS takes for exactly its products and nothing else, one thread each. Without the reduction, so that the products
# are two for each evaluation; with it there are fewer, and the last line says what that gains.
. "$NDEC_ROOT/tests/case.sh"
. "$NDEC_ROOT/tests/measure.sh"
cat >dense.nde <<'END1'
const n = 512
data x : real[n]
fn field(z : real[n]) -> real[n] {
  layer hidden = dense(n, tanh)
  layer out    = dense(n)
  return out(hidden(z))
}
solve flow {
  dz     = field(z) dt
  z(0)   = x
  time   0 .. 1
  method rk4
  step   fixed 0.1
}
output flow.z(1)
END1
"$ndec" build dense.nde -o dense --no-reduce >out 2>err || fail 'build dense'
"$ndec" build dense.nde -o reduced >out 2>err || fail 'build reduced'
clock=$processor_time
blas=
peer sgemm -lopenblas && blas=yes
for round in $rounds; do
    for binary in dense reduced; do
        measured $binary bench --batch 512 --rounds 5
        sample $binary/ms "$(calc "$(figure predict ms_least) - $(figure predict load_ms)")"
        sample $binary/count "$(figure predict evaluations)"
    done
    if [ -n "$blas" ]; then
        # shellcheck disable=SC2086
        $processor_time $pin ./sgemm 512 512 >line
        sample blas/ms "$(awk -v n="$(figure predict evaluations)" '{ print 2 * n * $1 }' line)"
    fi
done
title "Field 512-512-512, batch 512, float32, one thread, $(of dense/count | tail -n 1) evaluations"
value 'emitted, unreduced' dense/ms ms
[ -z "$blas" ] || { value 'OpenBLAS, its products' blas/ms ms; ratio 'over OpenBLAS' dense/ms blas/ms 1.0; }
value 'emitted, reduced' reduced/ms ms
ratio 'reduced over unreduced' reduced/ms dense/ms ''
ok 'products: measured'
