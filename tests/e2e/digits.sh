# The demonstration as a user sees it: five seeds of the digits, with regularisation and without.
. "$NDEC_ROOT/tests/case.sh"
passes 'demo.sh' sh "$examples/demo.sh" "$ndec"
cp out demo.out
set -- $(grep '^mean' demo.out)
holds "test accuracy ${2:-0} in the mean of five seeds" "${2:-0} >= 0.96"
holds "and ${4:-0} without regularisation" "${4:-0} >= 0.96"
holds "${3:-0} evaluations a solve with regularisation, ${5:-0} without" "${3:-0} > 0 && ${3:-0} < 0.8 * ${5:-0}"
if [ "$(grep -c '^[0-4] ' demo.out)" -eq 5 ] && tail -n 1 demo.out | grep -q '%'; then ok 'seeds and predictions are shown'
else fail 'the demonstration shows less than it should'; fi
