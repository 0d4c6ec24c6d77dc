# The paper's model on MNIST, 300 steps of the default seed; only where examples/fetch_mnist.sh has brought the data.
. "$NDEC_ROOT/tests/case.sh"
for f in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    if [ ! -s "$examples/$f" ]; then
        echo 'skip MNIST: examples/fetch_mnist.sh has not been run'
        exit 0
    fi
done
passes 'build' "$ndec" build "$examples/mnist_ode.nde" -o mnist
passes 'train' ./mnist train --data "$examples" --out run --set train.steps=300 --set train.evaluate=300
accuracy=$(sed -n 's/.*"accuracy[^"]*":\([0-9.]*\).*/\1/p' run/log.jsonl | tail -n 1)
holds "test accuracy ${accuracy:-0} after 300 steps" "${accuracy:-0} > 0.93"
wrong=$(sed -n 's/.*"step":[0-9]*,"loss".*"nfe":\([0-9]*\),"accepted":\([0-9]*\),"rejected":\([0-9]*\).*/\1 \2 \3/p' run/log.jsonl |
    awk '$1 != 2 + 6 * ($2 + $3)' | wc -l)
holds 'evaluations are 2 + 6 x attempts' "$wrong == 0"
