# The command `bench` of a program: its CSV has the promised columns, its counts are those of training and evaluation, and
# it leaves the weights as they are. Which times it finds is nobody's business here but that they are above 0.
. "$NDEC_ROOT/tests/case.sh"
passes 'build' "$ndec" build "$examples/digits_ode.nde" -o digits
# field ROW NAME: of t.csv
field() { awk -F, -v row="$1" -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) k = i }
                                            $1 == row { print $k }' t.csv; }

passes 'one round' ./digits bench --data "$examples" --threads 1 --rounds 1 -o t.csv
promised=what,batch,threads,rounds,repeats,ms,ms_least,ms_most,us_evaluation,evaluations,accepted,rejected
promised=$promised,load_ms,forward_ms,reverse_ms,rest_ms,update_ms,tape_bytes,work_bytes,reverse_evaluations
if [ "$(head -n 1 t.csv)" = "$promised" ]; then ok 'columns'; else fail "the columns are $(head -n 1 t.csv)"; fi
if [ "$(cut -d, -f1 t.csv | tr '\n' ' ')" = 'what train predict predict one ' ]; then ok 'rows'
else fail "the rows are $(cut -d, -f1 t.csv)"; fi
# Of one round the median is the only time, so the parts make up the whole. A prediction has no reverse, no update and no tape.
wrong=$(awk -F, 'NR > 1 { part = $13 + $14 + $15 + $16 + $17; d = part - $6; if (d < 0) d = -d
                          if (d > 1e-9 * $6 || $6 != $7 || $6 != $8) print $1 ": the parts"
                          for (i = 2; i <= 19; i++) if ($i <= 0 && i != 12 && !($1 != "train" && (i == 15 || i == 17 || i == 18)))
                              print $1 ": column " i }' t.csv)
if [ -z "$wrong" ]; then ok 'all numbers are above 0, and the parts are the whole'; else fail "numbers: $wrong"; fi
for what in evaluations 'us per evaluation' 'tape MiB' predict; do
    grep -q "$what" out || fail "the table does not say '$what'"
done

reverse=$(field train reverse_evaluations) accepted=$(field train accepted)

# Counts are those of the first step of training, and of an evaluation of one batch with the same weights.
passes 'train' ./digits train --data "$examples" --threads 1 --set train.steps=1 --out run
counts="\"nfe\":$(field train evaluations),\"accepted\":$(field train accepted),\"rejected\":$(field train rejected),"
if head -n 1 run/log.jsonl | grep -q "$counts"; then ok 'counts of a training step'
else fail "counts: $counts and $(head -n 1 run/log.jsonl)"; fi
weights='--weights run/weights.safetensors'
# shellcheck disable=SC2086
{
    passes 'evaluate' ./digits eval --data "$examples" $weights --set train.batch=2000
    nfe=$(sed -n 's/^nfe *//p' out)
    passes 'a batch of all samples' ./digits bench --data "$examples" $weights --batch 2000 --threads 2 --rounds 1 -o t.csv
}
holds 'evaluations in reverse are those of accepted steps and of the first stage' "$reverse == 6 * $accepted + 1"
holds "counts of predictions ($nfe)" "$(field predict evaluations) == ${nfe:-0} && $(field predict batch) == 359"
holds 'threads' "$(field predict threads) == 2 && $(field 'predict one' threads) == 1"

# Many updates later the counts are the same, for each is undone; times are in order.
passes 'ten rounds of a small batch' ./digits bench --data "$examples" --threads 1 --rounds 10 --batch 64 -o t.csv
holds 'batch' "$(field train batch) == 64 && $(field predict batch) == 64 && $(field 'predict one' batch) == 1"
holds 'rounds' "$(field train rounds) == 10"
holds 'times in order' "$(field train ms_least) <= $(field train ms) && $(field train ms) <= $(field train ms_most)"
many="$(field train evaluations) $(field train accepted) $(field train rejected)"
passes 'the first round of them' ./digits bench --data "$examples" --threads 1 --rounds 1 --batch 64 -o t.csv
few="$(field train evaluations) $(field train accepted) $(field train rejected)"
if [ "$many" = "$few" ]; then ok 'updates are undone'; else fail "counts: $few at first, $many later"; fi
# The tape is what `explain` says: a slot for each end of a step, in pieces of four, and the residuals of each step;
# behind them times and step sizes.
"$ndec" explain "$examples/digits_ode.nde" >out 2>err
slot=$(sed -n 's/.*the tape keeps \([0-9]*\) bytes.*/\1/p' out)
residual=$(sed -n 's/.*, and \([0-9]*\) that are formed again.*/\1/p' out)
steps=$(field train accepted)
used=$(field train tape_bytes) slots=$(($(field train accepted) + 1))
least=$((64 * (slot * ((slots + 3) / 4 * 4) + residual * steps)))
holds "tape of $slots slots of $slot bytes a sample ($used bytes)" "$least <= $used && $used < $least + 4096"

# Without data, and without training.
passes 'no data' ./digits bench --rounds 1 -o t.csv
if grep -q 'note: random samples' out; then ok 'and it says so'; else fail 'no data: no note'; fi
holds 'no data: nothing is loaded' "$(field train load_ms) == 0 && $(field train batch) == 64"
passes 'build lorenz' "$ndec" build "$examples/lorenz.nde" -o lorenz
passes 'a model that is not trained' ./lorenz bench -i "$examples/lorenz_starts.csv" --seconds 0.01 -o t.csv
holds 'its rows' "$(wc -l <t.csv) == 3 && $(field predict batch) == 3 && $(field predict rounds) >= 3"

ends 2 'no rounds' '--rounds takes a whole number from 1' ./digits bench --rounds 0
ends 2 'no time' '--seconds takes a number above 0' ./digits bench --seconds 0
ends 2 'a word for a time' '--seconds takes a number above 0' ./digits bench --seconds soon
ends 2 'no batch' '--batch takes a whole number from 1' ./digits bench --batch 0
ends 2 'another kind of file' 'must end in .csv' ./digits bench -o t.npy
ends 2 'a folder that is not there' 'nowhere' ./digits bench --data nowhere
ends 2 'samples that are not there' 'none.csv' ./digits bench --data "$examples" -i none.csv
ends 2 'an option of another command' "'train' does not take '--rounds'" ./digits train --rounds 1
ends 4 'samples of another shape' 'lorenz_starts' ./digits bench --data "$examples" -i "$examples/lorenz_starts.csv"
