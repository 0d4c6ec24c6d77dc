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
# So many samples that threads have bands of them to themselves. The one that cannot go on is named, the first of two, whoever
# came to it first.
{ cat all.csv; for i in $(seq 19); do sed 1d all.csv; done; } >many.csv
predict -i many.csv --threads 1 -o one_many.csv
predict -i many.csv --threads 3 -o three_many.csv
same 'predictions for 1500 samples by one thread and by three' one_many.csv three_many.csv
{ cat one.csv; for i in $(seq 19); do sed 1d one.csv; done; } >repeated.csv
same 'samples of other bands' one_many.csv repeated.csv
sed 's/all.csv/many.csv/; s/batch 75/batch 1500/; s/steps 3/steps 2/; s/SAMPLING/unbiased(2)/' model.nde >many.nde
"$ndec" build many.nde -o many >out 2>err || fail 'build many'
for n in 1 3; do ./many train --quiet --threads $n --out many$n >out 2>err || fail "many: $n threads"; done
same 'training with 1500 samples by one thread and by three' many1/weights.safetensors many3/weights.safetensors
awk -F, -v OFS=, 'NR == 801 || NR == 1301 { $3 = 1e30 } 1' many.csv >broken.csv
for n in 1 3; do
    ./flow predict --weights run1/weights.safetensors -i broken.csv --threads $n -o none.csv >out 2>broken$n
    holds "threads $n: exit code $?" "$? == 3"
done
grep -q 'sample 799 of the data' broken1 || fail "no sample 799 in $(cat broken1)"
same 'the sample that cannot go on, by one thread and by three' broken1 broken3
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

# `initial warm`: training takes fewer evaluations, the same whatever the number of threads and where it is interrupted;
# predictions are those of the model without it; and it is a size of the model's time, also where the span is learned.
warm() { # name, sed script
    sed -e 's/SAMPLING/biased/; s/steps 3/steps 12/; s/batch 75/batch 25/; s/(rate \*/(rate^0.2 */' -e "$2" model.nde >"$1.nde"
    "$ndec" build "$1.nde" -o "$1" >out 2>err || fail "$1: build"
    ./"$1" train --quiet --threads 1 --out "$1.run" >out 2>err || fail "$1: train"
    sed -n 's/.*"nfe":\([0-9.]*\),"accepted":\([0-9.]*\),"rejected":\([0-9.]*\),.*/\1 \2 \3/p' "$1.run/log.jsonl" >"$1.counts"
}
total() { awk '{ s += $1 } END { print s }' "$1.counts"; }
add='s/  batching sample/&\n  step initial warm/'
warm auto ''
warm warm "$add"
warm stretched "$add; s/^solve/param T : real = 2 frozen\n&/; s/time 0 .. 2/time 0 .. T/; s/flow.z(2)/flow.z(T)/"
holds "warm: $(total warm) evaluations, $(total auto) without" "$(total warm) < 0.97 * $(total auto)"
same 'warm: the same steps in a learned span' warm.counts stretched.counts
./warm train --quiet --threads 2 --out warm2.run >out 2>err || fail 'warm: two threads'
same 'warm: training by one thread and by two' warm.run/weights.safetensors warm2.run/weights.safetensors
./warm train --quiet --out half.run --set train.steps=5 >out 2>err || fail 'warm: five steps'
./warm train --quiet --resume half.run --set train.steps=12 >out 2>err || fail 'warm: resume'
same 'warm: resumed and not interrupted' warm.run/weights.safetensors half.run/weights.safetensors
for name in warm auto; do
    ./$name predict --weights warm.run/weights.safetensors -i all.csv -o $name.csv >out 2>err || fail "$name: predict"
done
same 'warm: predictions are those without it' warm.csv auto.csv
passes 'warm: check-gradient' ./warm check-gradient --entries 3
