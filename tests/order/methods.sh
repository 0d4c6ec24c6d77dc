# The order of every method, measured in a program that ndec builds: the error of
#   u' = -2 t u^2 w exp(-sin 4t), w' = 4 w cos 4t,  u(0) = w(0) = 1,  which is  u = 1 / (1 + t^2), w = exp(sin 4t),
# over fixed steps h falls like h^order, at ends of steps and at times between, which dense output gives. Claims are those
# of the prelude; one method is a file's own. All methods are solves of one model.
. "$NDEC_ROOT/tests/case.sh"

# Method, order of its steps, order with dense output, evaluations of a step, those that dense output adds, numbers of
# steps. These are small enough for the leading term to rule, and the error is above rounding. The leading terms of vern6,
# vern8 and vern9 are so small that others rule until rounding does (tests/unit/order.c measures them in long numbers):
# `least`, the error falls at least so fast.
cat >methods <<END
euler      1 1  1 0 1024 4096
midpoint   2 2  2 0 512 2048
heun       2 2  2 0 512 2048
ralston2   2 2  2 0 512 2048
heun3      3 3  3 1 512 2048
ssprk3     3 3  3 1 512 2048
rk4        4 4  4 0 512 2048
rk38       4 4  4 0 512 2048
bosh3      3 3  3 0 512 2048
fehlberg45 4 4  6 1 1024 2048
cash_karp  5 5  6 1 128 512
dopri5     5 5  6 0 128 512
tsit5      5 5  6 0 128 512
vern6      6 6  8 1 16 64 least
vern7      7 7 10 2 32 128
vern8      8 8 13 3 8 32 least
vern9      9 9 16 4 8 32 least
dop853     8 8 12 3 16 64
pd87       8 4 13 1 16 64
alf        2 2  1 0 512 2048
reversible_heun 2 2 1 0 512 2048
ralston32  3 3  3 0 512 2048
END
echo '1,1' >start.csv
{
    echo 'precision f64'
    sed -n '/^tableau/,/^}/p' "$examples/own_method.nde"
    cat <<'END'
const shown = [1/3, 1/2, 2/3, 1, 4/3, 3/2, 5/3, 2]
data start : real[2]
fn field(z : real[2], t : real) -> real[2] {
  return [-2 * t * z[0]^2 * z[1] * exp(-sin(4 * t)), 4 * z[1] * cos(4 * t)]
}
END
    while read -r method _; do
        printf 'solve by_%s {\n  dz = field(z, t) dt\n  z(0) = start\n  time 0 .. 2 save shown\n' "$method"
        printf '  method %s\n  step fixed 0.1, limit 100000\n}\n' "$method"
        printf 'output by_%s.z(shown), by_%s.nfe\n' "$method" "$method"
    done <methods
} >methods.nde
"$ndec" build --draft methods.nde -o measured 2>err || fail 'the methods build'

# errors STEPS: of each method, at ends of steps and in all, and evaluations for a step
errors() {
    set -- "$1" $(awk -v n="$1" '{ printf "--set by_%s.step.fixed=%.17g\n", $1, 2 / n }' methods)
    steps=$1
    shift
    ./measured predict -i start.csv "$@" 2>err | tail -n 1 | tr ',' '\n' | awk -v steps="$steps" '
        function off(t, u, w) { u -= 1 / (1 + t * t); w -= exp(sin(4 * t)); return u * u + w * w }
        BEGIN { split("1 1.5 2 3 4 4.5 5 6", third, " ") }
        { x[NR % 17] = $1 }
        NR % 17 == 0 { ends = between = 0
                       for (i = 1; i <= 8; i++) {
                           d = off(third[i] / 3, x[2 * i - 1], x[2 * i])
                           if (i % 2) between += d; else ends += d
                       }
                       print sqrt(ends), sqrt(ends + between), x[0] / steps }'
}
for n in 8 16 32 64 128 256 512 1024 2048 4096; do
    errors $n | paste methods - | awk -v n=$n '{ print $1, n, $(NF - 2), $(NF - 1), $NF }'
done >errors

# slope METHOD COLUMN COARSE FINE: the measured order
slope() {
    awk -v method="$1" -v column="$2" -v coarse="$3" -v fine="$4" '
        $1 == method && $2 == coarse { a = $column }  $1 == method && $2 == fine { b = $column }
        END { if (b > 0) printf "%.3f", log(a / b) / log(fine / coarse); else print -1 }' errors
}
while read -r method order all evaluations more coarse fine least; do
    most=${least:+99}
    measured=$(slope "$method" 4 "$coarse" "$fine")
    holds "$method: measured order $measured" "$measured > $all - 0.1 && $measured < ${most:-$all + 0.1}"
    if [ "$order" != "$all" ]; then
        measured=$(slope "$method" 3 "$coarse" "$fine")
        holds "$method: measured order $measured at ends of steps" "$measured > $order - 0.1 && $measured < $order + 0.1"
    fi
    wrong=$(awk -v m="$method" -v e="$((evaluations + more))" '{ d = ($5 - e) * $2 } $1 == m && (d < -0.5 || d > 1.5)' errors | wc -l)
    holds "$method: $evaluations evaluations a step, and $more for dense output" "$wrong == 0"
done <methods

# A method that is in the prelude and not in the list above would be untested.
"$ndec" list methods | awk 'NR > 1 { print $1 }' | sort >listed
awk '$1 != "ralston32" { print $1 }' methods | sort >measured_names
same 'every method of the prelude is measured' listed measured_names

# One changed coefficient is refused: the message names the condition and how far off it is.
{ printf 'data start : real\nsolve flow {\n  dz = -z dt\n  z(0) = start\n  time 0 .. 1\n  method mine\n}\noutput flow.z(1)\n'
  sed -n '/^tableau dopri5/,/^}/p' "$root/compiler/prelude/methods.nde" |
    sed 's/tableau dopri5/tableau mine/; s|-56/15|-56/14|'; } |
    awk '/^tableau/ { inside = 1 } inside { t = t $0 "\n" } !inside { rest = rest $0 "\n" } /^}/ { inside = 0 }
         END { printf "%s%s", t, rest }' >changed.nde
ends 1 'dopri5 with -56/14 for -56/15' 'changed.nde:[0-9]+:[0-9]+: error: .*sums to' "$ndec" check changed.nde
sed 's#-56/14#-56/15#; s#b    = 35/384, 0, 500/1113#b    = 35/384, 1/1000, 500/1113#; s/ dense 4//; /^  fsal/d; /^  interpolant/,/29380423\]$/d' changed.nde >changed2.nde
ends 1 'dopri5 with 1/1000 for a weight 0' 'claims order 5.*condition.*must be' "$ndec" check changed2.nde
sed 's|-56/14|-56/15|' changed.nde >right.nde
passes 'and unchanged it is accepted' "$ndec" check right.nde
