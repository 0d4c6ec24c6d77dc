# Clauses on the command line: each stands in place of that clause of every solve, as if the file said it.
. "$NDEC_ROOT/tests/case.sh"
# model CLAUSES CLAUSES: of the first solve and of the second, to the standard output
model() {
    cat <<END
precision f64
data start : real[2]
solve first {
  dz   = [z[1], -z[0]] dt
  z(0) = start
  time 0 .. 1
$1
}
solve second {
  dw   = -w * first.z(1)[0] dt
  w(0) = 1
  time 0 .. 1
$2
}
output first.z(1), second.w(1)
END
}
model '  method dopri5
  controller pi' '' >two.nde
# like NAME CLAUSES CLAUSES OPTION ...: the IR with the options is that of the model with these clauses.
like() {
    case_name=$1
    model "$2" "$3" >edited.nde
    shift 3
    "$ndec" check edited.nde --dump=ir >wanted 2>&1
    "$ndec" check two.nde --dump=ir "$@" >got 2>&1
    if [ -s got ] && cmp -s wanted got; then ok "$case_name"; else fail "$case_name: another IR"; fi
}
like 'a method' '  method heun
  controller pi' '  method heun' --method heun
like 'the last one counts' '  method bosh3
  controller pi' '  method bosh3' --method heun --method bosh3
like 'choices that are the defaults' '  method dopri5
  controller pi' '' --adjoint discrete --batching joint
"$ndec" explain two.nde --method heun >out 2>err
holds 'both solves have it' "$(grep -c '^  heun: order 2' out) == 2"
"$ndec" explain two.nde >out 2>err
holds 'without an option each has its own' "$(grep -c '^  dopri5: ' out) == 1 && $(grep -c '^  tsit5: ' out) == 1"
passes 'all of them' "$ndec" check two.nde --method bosh3 --controller sciml --adjoint discrete --batching joint
passes 'a tableau of the file' "$ndec" check "$examples/own_method.nde" --method "$(sed -n 's/^tableau \([a-z0-9_]*\).*/\1/p' "$examples/own_method.nde")"
ends 1 'a method without an estimate' "'rk4' has no embedded" "$ndec" check two.nde --method rk4
ends 1 'a name that is none' 'command line:1:10: error: nothing is called .foo.' "$ndec" check two.nde --method foo
ends 1 'brackets' 'command line:1:.*closes nothing' "$ndec" check two.nde --adjoint 'discrete)'
ends 1 'two lines' 'command line:2:' "$ndec" check two.nde --method 'heun
adjoint discrete'
ends 2 'nothing behind it' 'which --method' "$ndec" check two.nde --method
ends 2 'nothing in it' 'which --adjoint' "$ndec" check two.nde --adjoint ''
ends 2 'another command' '--method belongs to check, build' "$ndec" list methods --method heun
