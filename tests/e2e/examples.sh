# Every example is checked in time, built, trained a little, evaluated, asked for predictions and solved.
. "$NDEC_ROOT/tests/case.sh"

mnist_like data
ln -s "$examples"/*.npz "$examples"/*.csv "$examples"/*.gz data/

for f in "$examples"/*.nde; do
    name=$(basename "$f" .nde)
    # Said, not asserted: processor time of a run, the mean of ten.
    took=$(sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do "$0" check "$1" || exit 1; done; times' "$ndec" "$f" 2>err |
        tail -n 1 | awk '{ for (i = 1; i <= 2; i++) { split($i, p, /[ms]/); s += 60 * p[1] + p[2] } print 100 * s }')
    ok "$name: check (${took:-no} ms of processor time)"
    passes "$name: explain" "$ndec" explain "$f"
    [ "$name" != cnf ] || continue # e2e/cnf, compiled in less time
    passes "$name: build" "$ndec" build "$f" -o "$name"
    [ "$name" != lorenz ] || continue
    small='--set train.steps=6'
    [ "$name" != mnist_ode ] || small='--set train.steps=2 --set train.batch=16 --set train.evaluate=2'
    # shellcheck disable=SC2086
    passes "$name: train" "./$name" train --data data --out "$name.run" $small
    for part in log.jsonl weights.safetensors checkpoint.safetensors summary.json; do
        [ -s "$name.run/$part" ] || fail "$name: train left no $part"
    done
    first=$(head -n 1 "$name.run/log.jsonl" | tr -d '{}' | tr ',' '\n' | sed 's/:.*//; s/"//g' | tr '\n' ' ')
    if [ "$first" = 'step loss reg nfe accepted rejected seconds reverse_nfe ' ]; then ok "$name: log"
    else fail "$name: the log has the keys $first"; fi
    weights="--weights $name.run/weights.safetensors"
    # shellcheck disable=SC2086
    {
        passes "$name: eval" "./$name" eval --data data $weights
        passes "$name: predict" "./$name" predict --data data $weights -o "$name.csv"
        passes "$name: predict npy" "./$name" predict --data data $weights -o "$name.npy"
        passes "$name: solve" "./$name" solve --data data $weights --sample 0 --points 5
    }
    if [ "$(wc -l <out)" -eq 6 ]; then ok "$name: solve gives a line for each point"
    else fail "$name: solve gave $(wc -l <out) lines"; fi
done

# Lorenz's equations are not trained: the values in the file are the parameters.
passes 'lorenz: predict' ./lorenz predict -i "$examples/lorenz_starts.csv" -o lorenz.csv
passes 'lorenz: solve' ./lorenz solve -i "$examples/lorenz_starts.csv" --sample 2 --points 101 -o orbit.csv
if [ "$(wc -l <lorenz.csv)" -eq 4 ] && [ "$(wc -l <orbit.csv)" -eq 102 ]; then ok 'lorenz: rows'
else fail 'lorenz: wrong number of rows'; fi
# It stays on the attractor, and x y z at time 1 of the first start are those of a solution with tolerance 1e-12.
./lorenz solve -i "$examples/lorenz_starts.csv" --sample 0 --points 11 --set flow.tolerance=1 >out 2>err &&
    fail 'lorenz: an unknown setting is accepted'
./lorenz solve -i "$examples/lorenz_starts.csv" --sample 0 --points 11 -o a.csv
./lorenz solve -i "$examples/lorenz_starts.csv" --sample 0 --points 11 --set orbit.tolerance=1e-12 -o b.csv
far=$(paste -d, a.csv b.csv | awk -F, 'NR > 1 { for (i = 2; i <= 4; i++) { d = $i - $(i + 4); if (d < 0) d = -d
                                                                           if (d > m) m = d } } END { print m + 0 }')
holds "lorenz: tolerances agree over 10 units of time ($far)" "$far > 0 && $far < 0.001"

# The number of evaluations is the one of the method: 2 + 6 for each attempt, here and on MNIST.
for name in digits_ode mnist_ode; do
    sed -n 's/.*"step":[0-9]*,"loss".*"nfe":\([0-9]*\),"accepted":\([0-9]*\),"rejected":\([0-9]*\).*/\1 \2 \3/p' \
        "$name.run/log.jsonl" >counts
    wrong=$(awk '$1 != 2 + 6 * ($2 + $3)' counts | wc -l)
    holds "$name: evaluations are 2 + 6 x attempts" "$wrong == 0 && $(wc -l <counts) > 1"
done
