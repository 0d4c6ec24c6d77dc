# case.sh: what every test script reads first. Needs: NDEC_ROOT and BUILD from run.sh. Gives: a fresh folder $work, where
# the script then is, and the words below. A script's lines `ok NAME`, `FAIL NAME: why` and `skip NAME: why` are counted.
root=$NDEC_ROOT
ndec=$BUILD/ndec
examples=$root/examples
work=$BUILD/test/work/$(basename "$(dirname "$0")")-$(basename "$0" .sh)
rm -rf "$work"
mkdir -p "$work"
cd "$work"
export OMP_WAIT_POLICY=passive # tests run side by side: threads that spin would stand in each other's way

ok() { echo "ok $*"; }
fail() {
    echo "FAIL $*"
    [ ! -s err ] || sed -n '1,6s/^/     | /p' err
}
# passes NAME COMMAND ...: it ends with 0
passes() {
    case_name=$1
    shift
    if "$@" >out 2>err </dev/null; then ok "$case_name"; else fail "$case_name: exit code $?"; fi
}
# ends CODE NAME PATTERN COMMAND ...: with this exit code, and a message that matches
ends() {
    case_code=$1 case_name=$2 case_pattern=$3
    shift 3
    case_got=0
    "$@" >out 2>err </dev/null || case_got=$?
    if [ "$case_got" -ne "$case_code" ]; then
        fail "$case_name: exit code $case_got, not $case_code"
    elif ! grep -Eq -- "$case_pattern" err; then
        fail "$case_name: the message does not say '$case_pattern'"
    else
        ok "$case_name"
    fi
}
# same NAME FILE FILE: byte for byte
same() {
    if cmp -s "$2" "$3"; then ok "$1"; else fail "$1: $2 and $3 differ"; fi
}
# holds NAME EXPRESSION: awk's opinion
holds() {
    if awk "BEGIN { exit !($2) }"; then ok "$1"; else fail "$1: $2"; fi
}

# points NUMBERS [N]: points.csv, 24 (or N) lines of these functions of their number i; one.csv, the first of them. The
# fields of the first five numbers are $points.
points() {
    awk -v OFS=, "BEGIN { for (i = 0; i < ${2:-24}; i++) print $1 }" >points.csv
    sed 1q points.csv >one.csv
}
points='precision f64
data x : real[3]
data y : real[2]'

# mnist_like FOLDER [N]: small files in MNIST's format, 48 (or N) images to learn from and 20 to be tested on. Their pixels
# are the bytes of source files, so each image is different, and their labels follow a pattern.
mnist_like() {
    mkdir -p "$1"
    mnist_files "$1/train" "${2:-48}"
    mnist_files "$1/t10k" 20
}
mnist_files() { # start of the names, number of images: big-endian heads, then bytes
    case_count="\\000\\000\\$(printf %03o $(($2 / 256)))\\$(printf %03o $(($2 % 256)))"
    { printf "\\000\\000\\010\\003$case_count\\000\\000\\000\\034\\000\\000\\000\\034"
      cat "$root"/compiler/*.c "$root"/runtime/*.[ch] | head -c $(($2 * 784)); } >"$1-images-idx3-ubyte"
    { printf "\\000\\000\\010\\001$case_count"
      case_i=0
      while [ "$case_i" -lt "$2" ]; do
          printf "\\$(printf %03o $((case_i * 7 % 10)))"
          case_i=$((case_i + 1))
      done; } >"$1-labels-idx1-ubyte"
}
