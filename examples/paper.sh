#!/bin/sh
# paper.sh NDEC FOLDER [SEED ...]: what the local regularisation of mnist_ode.nde does, as Pal, Edelman & Rackauckas (2023)
# tabulate it: without a term, at a time drawn from the span (unbiased), at an accepted step (biased), and over all steps
# (global, Pal, Ma, Shah & Rackauckas 2021, the mean over steps), with the default controller and with the paper's. The latter
# takes steps whose error is a small part of the tolerance, and so needs the paper's larger weight. Needs the files of
# fetch_mnist.sh in FOLDER.
# Runs stay in ./paper and are not repeated. STEPS (3000), JOBS (1) runs at a time, ROUNDS (5) of timed predictions.
set -eu
ndec=$1 data=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
seeds=${*:-0 1 2}
steps=${STEPS:-3000}
export data steps
mkdir -p paper
cd paper
for term in vanilla unbiased biased global; do
    case $term in
    vanilla) edit='/regularize/d' ;;
    global) edit='s/unbiased, at accepted/global(mean)/' ;;
    *) edit="s/unbiased/$term/" ;;
    esac
    for controller in default sciml; do
        model=${term}_$controller
        [ $controller = default ] ||
            edit="$edit; s/weight 0.1/weight exponential(2.5, 1.0)/; s/^  method .*/&\\n  controller $controller/"
        sed "$edit" "$here/mnist_ode.nde" >"$model.nde"
        [ -x "$model" ] || "$ndec" build "$model.nde" -o "$model"
    done
done

for seed in $seeds; do
    for model in *.nde; do echo "${model%.nde} $seed"; done
done | xargs -P "${JOBS:-1}" -L 1 sh -c '
    run=$0-$1
    [ ! -s "$run/time" ] || exit 0
    rm -rf "$run"
    { ./"$0" train --quiet --threads 1 --data "$data" --seed "$1" --set train.steps="$steps" --out "$run" && times >"$run/times"; } ||
        exit 1
    awk "NR == 2 { split(\$1, u, /[ms]/); print 60 * u[1] + u[2] }" "$run/times" >"$run/time"'

# Milliseconds of a prediction for a batch, all programs in turn.
for round in $(seq "${ROUNDS:-5}"); do
    for seed in $seeds; do
        for model in *.nde; do
            model=${model%.nde}
            ./"$model" bench --threads 1 --rounds 1 --seconds 0.5 --data "$data" --weights "$model-$seed/weights.safetensors" \
                -o bench.csv >bench.out
            awk -F, -v m="$model" '$1 == "predict" { print m, $6 }' bench.csv
        done
    done
done >predictions

value() { # run, key of the evaluation in its summary
    sed -n "s/.*\"evaluation\":{\(.*\)}.*/\1/p" "$1/summary.json" | sed -n "s/.*\"$2[^\"]*\":\([0-9.e+-]*\).*/\1/p"
}
for controller in default sciml; do
    for term in vanilla unbiased biased global; do
        for seed in $seeds; do
            run=${term}_$controller-$seed
            echo "$controller $term $(value "$run" accuracy) $(value "$run" nfe) $(cat "$run/time")"
        done
    done
done | awk '
    function spread(sum, squares, n,    m, v) {
        m = sum / n; v = squares / n - m * m
        return sprintf("%.2f ± %.2f", m, sqrt(v > 0 ? v : 0))
    }
    NR == FNR { if (!($1 in least) || $2 < least[$1]) least[$1] = $2; next }
    { k = $1 " | " $2; if (!(k in n)) { order[++rows] = k; model[k] = $2 "_" $1 }
      n[k]++; a[k] += 100 * $3; aa[k] += 1e4 * $3 * $3; e[k] += $4; ee[k] += $4 * $4; t[k] += $5; tt[k] += $5 * $5 }
    END { print "| controller | term | test accuracy, % | evaluations | prediction, ms | training, s |"
          print "| --- | --- | --- | --- | --- | --- |"
          for (i = 1; i <= rows; i++) { k = order[i]
              printf "| %s | %s | %s | %.1f | %s |\n", k, spread(a[k], aa[k], n[k]), spread(e[k], ee[k], n[k]), least[model[k]], spread(t[k], tt[k], n[k]) } }' \
    predictions -
