# An operator added as one row is found, differentiated, tested and compiled with no other change.
. "$NDEC_ROOT/tests/case.sh"
plain=$BUILD
mkdir tree
cp -r "$root/compiler" "$root/runtime" "$root/grammar" "$root/Makefile" "$root/tests" tree/
cp -rp "$BUILD/compiler" "$BUILD/runtime" "$BUILD/gen" "$BUILD/libnde.a" . # newer than the sources: only what changed is built
mkdir -p tree/build
mv compiler runtime gen libnde.a tree/build/
find tree/build -type f -exec touch {} +
row='MAP(swish, 1, a * sigmoid(a), "g * (sigmoid(a) + y * (1 - sigmoid(a)))", -3, 3, "a sigmoid(a)")'
awk -v row="$row" '{ print } /^MAP\(softplus/ { print row }' "$root/compiler/op.def" >tree/compiler/op.def
rm -f tree/build/compiler/*.o # every file of the compiler may see the table
passes 'the compiler with one row more' "$MAKE" -C tree CFLAGS=-O0 build
if tree/build/ndec list operators | grep -q '^swish'; then ok 'it is listed'; else fail 'it is not listed'; fi
BUILD=$work/tree/build
export BUILD
sh "$root/tests/unit.sh" archive
(cd tree && sh "$root/tests/unit.sh" tests/unit/op.c) >unit.out 2>&1
if grep -q '^ok unit op 200' unit.out && ! grep -q '^FAIL' unit.out; then ok "the tests of operators pass"
else fail "the tests of operators"; grep -A 8 '^FAIL' unit.out; fi
more=$(grep -c '^ok unit op' unit.out)
before=$(grep -c '^ok unit op' "$plain/test/results/unit-op" 2>/dev/null || echo 0)
[ "$before" -eq 0 ] || holds "there are more of them: $more, not $before" "$more > $before"
sed 's/dense(48, tanh)/dense(48, swish)/; s/weight 1$/weight 0.1/' "$examples/digits_ode.nde" >swish.nde
passes 'a model that uses it' tree/build/ndec build swish.nde
passes 'trains' ./swish train --quiet --data "$examples" --out run --set train.steps=100 --set train.evaluate=100
passes 'and has the right gradient' ./swish check-gradient --data "$examples"
loss=$(sed -n 's/.*"evaluation":.*"accuracy[^"]*":\([0-9.]*\).*/\1/p' run/log.jsonl | tail -n 1)
holds "it learns: accuracy $loss after 100 steps" "$loss > 0.7"
# A wrong sign in one rule is noticed.
sed 's/"g \* (sigmoid(a) + y \* (1 - sigmoid(a)))"/"g * (sigmoid(a) - y * (1 - sigmoid(a)))"/' tree/compiler/op.def >op.def
mv op.def tree/compiler/op.def
rm -f tree/build/compiler/op.o
passes 'the same with a wrong sign in its rule' "$MAKE" -C tree CFLAGS=-O0 build
sh "$root/tests/unit.sh" archive
(cd tree && sh "$root/tests/unit.sh" tests/unit/op.c) >unit.out 2>&1
if grep -q '^FAIL' unit.out; then ok 'is found by the tests of operators'; else fail 'a wrong rule passes the tests'; fi
