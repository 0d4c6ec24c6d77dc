# The order of every method, measured in the programs that ndec builds: the error at the end of
#   u' = -2 t u^2 w exp(-sin 4t), w' = 4 w cos 4t,  u(0) = w(0) = 1,  which is  u = 1 / (1 + t^2), w = exp(sin 4t),
# and at times before, over fixed steps h falls like h^order. Claims are those of the prelude; one method is a file's own.
. "$NDEC_ROOT/tests/case.sh"

model() { # method: to standard output
    cat <<END
precision f64
const shown = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
data start : real[2]
fn field(z : real[2], t : real) -> real[2] {
  return [-2 * t * z[0]^2 * z[1] * exp(-sin(4 * t)), 4 * z[1] * cos(4 * t)]
}
solve flow {
  dz   = field(z, t) dt
  z(0) = start
  time 0 .. 2 save shown exactly
  method $1
  step fixed 0.1
}
output flow.z(shown), flow.nfe
END
}
echo '1,1' >start.csv

# measure METHOD ORDER EVALUATIONS
measure() {
    "$ndec" build --draft "$1.nde" -o "$1" 2>err || { fail "$1: build"; return; }
    : >errors
    case $2 in # powers of 2: exact steps. Small enough for the leading term to rule, and above rounding
    1) steps='512 1024 2048 4096' ;;
    2 | 3) steps='256 512 1024 2048' ;;
    4) steps='1024 2048 4096' ;;
    *) steps='256 512' ;;
    esac
    for n in $steps; do
        h=$(awk -v n="$n" 'BEGIN { printf "%.17g", 2 / n }')
        ./"$1" predict -i start.csv --set flow.step.fixed="$h" 2>err | awk -F, -v n="$n" 'NR == 2 {
            for (i = 1; i <= 8; i++) { t = i / 4; a = $(2 * i - 1) - 1 / (1 + t * t); b = $(2 * i) - exp(sin(4 * t))
                                       sum += a * a + b * b }
            printf "%d %.17g %d\n", n, sqrt(sum / 8), $17 }' >>errors
    done
    slope=$(awk '{ x = log($1); y = log($2); n++; sx += x; sy += y; sxx += x * x; sxy += x * y }
                 END { if (n > 1) printf "%.3f", -(n * sxy - sx * sy) / (n * sxx - sx * sx); else print -1 }' errors)
    holds "$1: measured order $slope" "$slope > $2 - 0.1 && $slope < $2 + 0.1"
    wrong=$(awk -v e="$3" '$3 != $1 * e && $3 != $1 * e + 1' errors | wc -l)
    holds "$1: $3 evaluations a step" "$wrong == 0"
}
while read -r method order evaluations; do
    model "$method" >"$method.nde"
    measure "$method" "$order" "$evaluations"
done <<END
euler 1 1
midpoint 2 2
heun 2 2
bosh3 3 3
rk4 4 4
rk38 4 4
dopri5 5 6
tsit5 5 6
alf 2 1
reversible_heun 2 1
END
{ sed -n '/^tableau/,/^}/p' "$examples/own_method.nde"; model ralston32; } | awk '
    /^precision/ { p = p $0 "\n"; next } { rest = rest $0 "\n" } END { printf "%s%s", p, rest }' >ralston32.nde
measure ralston32 3 3

# A method that is in the prelude and not in the list above would be untested.
"$ndec" list methods | awk '{ print $1 }' | sort >listed
printf '%s\n' euler midpoint heun bosh3 rk4 rk38 dopri5 tsit5 alf reversible_heun | sort >measured
same 'every method of the prelude is measured' listed measured

# One changed coefficient is refused: the message names the condition and how far off it is.
{ model mine; sed -n '/^tableau dopri5/,/^}/p' "$root/compiler/prelude/methods.nde" |
    sed 's/tableau dopri5/tableau mine/; s|-56/15|-56/14|'; } |
    awk '/^tableau/ { inside = 1 } inside { t = t $0 "\n" } !inside { rest = rest $0 "\n" } /^}/ { inside = 0 }
         END { printf "%s%s", t, rest }' >changed.nde
ends 1 'dopri5 with -56/14 for -56/15' 'changed.nde:[0-9]+:[0-9]+: error: .*sums to' "$ndec" check changed.nde
sed 's#-56/14#-56/15#; s#b    = 35/384, 0, 500/1113#b    = 35/384, 1/1000, 500/1113#; /^  fsal/d; /^  interpolant/,/29380423\]$/d' changed.nde >changed2.nde
ends 1 'dopri5 with 1/1000 for a weight 0' 'claims order 5.*condition.*must be' "$ndec" check changed2.nde
sed 's|-56/14|-56/15|' changed.nde >right.nde
passes 'and unchanged it is accepted' "$ndec" check right.nde
