# `batching sample`: a sample's results are the same bits whatever shares its batch, in whatever place, by any number of
# threads; they have the accuracy that was asked for; and the gradient is that of what was computed.
. "$NDEC_ROOT/tests/case.sh"

# Samples that differ in stiffness by some hundreds.
awk 'BEGIN { srand(3); print "q,v,rate"
    for (i = 0; i < 75; i++) printf "%.6f,%.6f,%.6f\n", 4 * rand() - 2, 4 * rand() - 2, exp(6 * rand() - 3) }' >all.csv
{ sed 1q all.csv; sed 1d all.csv | tac; } >back.csv
cat >model.nde <<'END_MODEL'
data q    : real
data v    : real
data rate : real
const at = [0, 0.1, 0.35, 0.5, 2]
fn field(z : real[2], t : real) -> real[2] {
  layer hidden = dense(64, tanh)
  layer out    = dense(2)
  return out(hidden([z, sin(3 * t)]))
}
solve flow {
  dz   = (rate * (field(z, t) + [-z[1], z[0]]) - z * exp(z[0] - 1)) dt
  z(0) = [q, v]
  time 0 .. 2 save at
  tolerance 1e-5
  batching sample
  regularize error, SAMPLING, weight 1
  regularize stiffness, global(max), weight 0.1
}
loss   sum(flow.z(2)^2) + sum(flow.z(at)^2)
metric flow.nfe
metric flow.executed
output flow.z(2), flow.z(at), flow.nfe, flow.steps, flow.rejected
train {
  data  csv("all.csv")
  batch 75
  steps 3
}
END_MODEL
sed 's/SAMPLING/unbiased(2)/' model.nde >unbiased.nde
"$ndec" build unbiased.nde -o flow >out 2>err || fail 'build'
./flow train --quiet --threads 1 --out run1 >out 2>err || fail 'train'
./flow train --quiet --threads 2 --out run2 >out 2>err || fail 'train'
same 'training by one thread and by two' run1/weights.safetensors run2/weights.safetensors
predict() { ./flow predict --weights run1/weights.safetensors "$@" >out 2>err || fail "predict $*"; }
predict -i all.csv --threads 1 -o one.csv
predict -i all.csv --threads 2 -o two.csv
predict -i back.csv -o back_out.csv
same 'predictions by one thread and by two' one.csv two.csv
{ sed 1q back_out.csv; sed 1d back_out.csv | tac; } >turned.csv
same 'samples in the opposite order' one.csv turned.csv
sed 1q one.csv >alone.csv
sed 1q one.csv >some.csv
for i in 2 18 33 34 60 76; do
    { sed 1q all.csv; sed -n "${i}p" all.csv; } >in.csv
    predict -i in.csv -o row.csv
    sed 1d row.csv >>alone.csv
    sed -n "${i}p" one.csv >>some.csv
done
same 'samples alone' some.csv alone.csv
most=$(sed 1d one.csv | awk -F, 'BEGIN { least = 1e9 } { n = $(NF - 2); if (n > most) most = n; if (n < least) least = n }
    END { print most / least }')
holds "evaluations of samples differ by a factor of $most" "$most > 4"
# The mean of what samples need is the mean over samples, and a batch of samples that differ costs more than that, but less
# than if each took as long as the longest of all.
./flow eval --weights run1/weights.safetensors >out 2>err || fail 'eval'
mean=$(sed -n 's/^flow.nfe //p' out) executed=$(sed -n 's/^flow.executed //p' out)
counts=$(sed 1d one.csv | awk -F, '{ n = $(NF - 2); sum += n; if (n > most) most = n } END { printf "%.9g %.9g", sum / NR, most }')
holds "mean evaluations $mean" "$mean - ${counts% *} < 1e-5 && ${counts% *} - $mean < 1e-5"
holds "executed evaluations $executed" "$executed > $mean && $executed < ${counts#* }"
if ./flow check-gradient --entries 4 >out 2>err; then ok "gradient: $(tail -n 1 out)"; else fail "gradient: $(tail -n 1 out)"; fi

# A sample that has arrived leaves its lane to another one, and the lane may get out of use: then it still holds a step that is
# finite, or the gradient would not be. With first steps that are too long for some samples, others would overflow there.
sed -e '/regularize/d; s/  batching sample/&\n  step initial 1/; s/steps 3/steps 12/; s/batch 75/batch 25/' model.nde >long.nde
"$ndec" build --draft long.nde -o long >out 2>err || fail 'long: build'
passes 'long first steps: training' ./long train --quiet --out long.run
