# Programs for each instruction set that this machine can run: right gradients, the same training but for rounding; the
# choice among several at start; messages for those that are not there.
. "$NDEC_ROOT/tests/case.sh"
has() { grep -E '^(flags|Features)' /proc/cpuinfo | head -n 1 | grep -qw -- "$1"; }
ladder=
case $(uname -m) in
x86_64)
    if has sse4_2 && has popcnt; then ladder=v2; fi
    if has avx2 && has fma && has bmi2; then ladder="v3 $ladder"; fi
    if has avx512f && has avx512dq && has avx512bw && has avx512vl; then ladder="v4 $ladder"; fi
    ;;
aarch64) ladder=neon ;;
esac
best=${ladder%% *} least=${ladder##* }

# A float32 model with saved states, and a float64 model with a regulariser and a metric.
cp "$examples/spiral_ode.nde" spiral.nde
{ echo 'precision f64'; cat "$examples/own_method.nde"; } >own.nde

# The loss of a run's last evaluation.
loss_of() { sed -n 's/.*"evaluation":[^,]*,"loss":\([-0-9.e]*\).*/\1/p' "$1/log.jsonl" | tail -n 1; }
agree() { # NAME TOLERANCE RUN RUN
    a=$(loss_of "$3") b=$(loss_of "$4")
    holds "$1: losses $a and $b" "$a > 0 && ($a - $b) ^ 2 <= ($2 * $a) ^ 2"
}
try() { # MODEL ISA PROGRAM: gradient, and a short training to PROGRAM.run
    passes "$1 $2: check-gradient" "./$3" check-gradient --data "$examples" --entries 4
    passes "$1 $2: train" "./$3" train --quiet --data "$examples" --out "$3.run" --set train.steps=20
    if grep -q "\"isa\":\"$2\"" "$3.run/summary.json"; then ok "$1 $2: the summary names it"
    else fail "$1 $2: the summary does not name it"; fi
}
for model in spiral own; do
    for isa in native plain $ladder; do
        passes "build $model for $isa" "$ndec" build --isa "$isa" "$model.nde" -o "${model}_$isa"
        try $model "$isa" "${model}_$isa"
    done
    # Twenty steps amplify roundings; a wrong value or a wrong gradient changes the loss by a large part of it.
    tolerance=1e-5
    [ $model = spiral ] || tolerance=1e-10
    for isa in plain $ladder; do agree "$model trained with native and $isa" $tolerance ${model}_native.run "${model}_$isa.run"; done
done
if command -v clang >/dev/null 2>&1; then
    for isa in plain $best; do
        passes "build spiral for $isa with clang" env CC=clang "$ndec" build --isa "$isa" spiral.nde -o "clang_$isa"
        try spiral "$isa" "clang_$isa"
        agree "spiral trained with native and, by clang, $isa" 1e-5 spiral_native.run "clang_$isa.run"
    done
else
    echo 'skip instruction sets with clang: it is not installed'
fi

# Several in one program: the best is taken, and each of them does what the program for it alone does.
version() { # COMMAND ...: the set that it runs with
    "$@" --version 2>err | sed -n 's/.*float[0-9]* \([a-z0-9]*\),.*/\1/p'
}
if [ -n "$ladder" ]; then
    passes 'build spiral for all' "$ndec" build --isa all spiral.nde -o all
    holds "the best here is $best" "\"$(version ./all)\" == \"$best\""
    for isa in $ladder; do
        holds "NDE_ISA=$isa" "\"$(version env NDE_ISA="$isa" ./all)\" == \"$isa\""
        passes "all, as $isa: train" env NDE_ISA="$isa" ./all train --quiet --data "$examples" --out "all_$isa.run" \
            --set train.steps=20
        same "all, as $isa: the weights of the program for $isa" "all_$isa.run/weights.safetensors" \
            "spiral_$isa.run/weights.safetensors"
    done
    passes 'all: check-gradient' ./all check-gradient --data "$examples" --entries 2
    ends 2 'a set that the program has not' 'NDE_ISA.*v9.*built for.*'"$least" env NDE_ISA=v9 ./all --version
    if [ "$best" != "$least" ]; then
        ./all train --data "$examples" --resume "all_$least.run" --set train.steps=22 >out 2>err || fail 'resume'
        if cat out err | grep -q "note:.*'$least'.*'$best'"; then ok 'a run resumed with other instructions says so'
        else fail 'a run resumed with other instructions does not say so'; fi
    fi
fi

# v4 is compiled also where it cannot run, and says there that it cannot.
if [ "$(uname -m)" = x86_64 ] && "${CC:-cc}" -march=x86-64-v4 -fsyntax-only -x c /dev/null 2>/dev/null; then
    passes 'build spiral for v4' "$ndec" build --isa v4 spiral.nde -o v4
    if ! has avx512f; then
        ends 2 'a program for more than the machine has' 'v4.*lacks.*avx512f' ./v4 train --data "$examples"
        ends 2 'NDE_ISA for more than the machine has' 'NDE_ISA.*v4.*lacks.*avx512f' env NDE_ISA=v4 ./all --version
    fi
    # A compiler that does not know it.
    printf '#!/bin/sh\ncase "$*" in *x86-64-v4*) exit 1 ;; esac\nexec %s "$@"\n' "${CC:-cc}" >old
    chmod +x old
    ends 2 'v4 with a compiler that does not know it' 'v4' env CC=./old "$ndec" build --isa v4 spiral.nde -o x
    passes 'all with a compiler that does not know v4' env CC=./old "$ndec" build --isa all spiral.nde -o fewer
    ends 2 'has no v4 then' 'built for v3, v2$' env NDE_ISA=v4 ./fewer --version
fi

# Names.
ends 2 'an unknown set' "'v9'.*native.*plain.*all" "$ndec" build --isa v9 spiral.nde
case $(uname -m) in aarch64) other=v3 ;; *) other=neon ;; esac
ends 2 "$other is for another machine" 'another kind of machine.*native' "$ndec" build --isa $other spiral.nde
ends 2 '--isa without a name' 'instruction set must follow' "$ndec" build spiral.nde --isa
ends 2 '--isa with another command' 'belongs to build, run and compare' "$ndec" check --isa plain spiral.nde

# The cache tells them apart.
export XDG_CACHE_HOME=$work/cache
holds 'ndec run' "\"$(version "$ndec" run spiral.nde --)\" == \"native\""
holds 'ndec run --isa plain' "\"$(version "$ndec" run --isa plain spiral.nde --)\" == \"plain\""
holds 'ndec run once more' "\"$(version "$ndec" run spiral.nde --)\" == \"native\""
