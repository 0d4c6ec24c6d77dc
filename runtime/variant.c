/* variant.c: which of the program's variants this machine can run.
 *
 * Needs: tables of models, of which each names what it was compiled for. Gives: one of them, or a message instead of
 * an illegal instruction. The runtime itself is compiled for the least machine of its kind.
 * Elsewhere: the features and where they are found (nde_feature.h). */
#include "variant.h"
#include "nde_feature.h"

#include <stdio.h>
#include <string.h>

/* ---- the machine ---- */

#if defined(__x86_64__)
#include <cpuid.h>

enum { LEAF_1_ECX, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX, LEAF_7_1_EAX, LEAF_EXT_ECX, WORDS };
enum { XMM = 0x2, YMM = 0x6, ZMM = 0xe6 }; /* bits of XCR0; every 64-bit system saves xmm */

static void read_words(unsigned word[WORDS])
{
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        word[LEAF_1_ECX] = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        word[LEAF_7_EBX] = b;
        word[LEAF_7_ECX] = c;
        word[LEAF_7_EDX] = d;
        if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
            word[LEAF_7_1_EAX] = a;
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
        word[LEAF_EXT_ECX] = c;
}

static unsigned saved_registers(const unsigned word[WORDS])
{
    unsigned low = XMM, high;
    const unsigned has_xgetbv = 1u << 27;
    if (word[LEAF_1_ECX] & has_xgetbv)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

enum { HWCAP, HWCAP2, WORDS };
enum { KERNEL = 0 };

static void read_words(unsigned word[WORDS])
{
    word[HWCAP] = (unsigned)getauxval(AT_HWCAP);
    word[HWCAP2] = (unsigned)getauxval(AT_HWCAP2);
}

static unsigned saved_registers(const unsigned word[WORDS])
{
    (void)word;
    return KERNEL;
}
#else
enum { WORDS = 1 };

static void read_words(unsigned word[WORDS])
{
    (void)word;
}

static unsigned saved_registers(const unsigned word[WORDS])
{
    (void)word;
    return 0;
}
#endif

typedef struct Feature {
    const char *name;
    int word, bit;
    unsigned registers;
} Feature;

/* The last row stands for no feature: other kinds of machine have no rows. */
static const Feature feature[] = {
#define FEATURE(name, macro, word, bit, registers) {#name, word, bit, registers},
    NDE_FEATURES(FEATURE)
#undef FEATURE
        {"", 0, 0, 0}};

uint64_t nde_machine_features(void)
{
    unsigned word[WORDS] = {0};
    uint64_t set = 0;
    read_words(word);
    unsigned saved = saved_registers(word);
    for (int i = 0; i < NDE_FEATURE_COUNT; i++)
        if (word[feature[i].word] >> feature[i].bit & 1 && (saved & feature[i].registers) == feature[i].registers)
            set |= (uint64_t)1 << i;
    return set;
}

/* ---- the choice ---- */

enum { WORDS_SIZE = 400 };

static uint64_t lacks(const NdeVariant *v, uint64_t machine)
{
    return (v->model->needs | (v->model_f64 ? v->model_f64->needs : 0)) & ~machine;
}

static void add_word(char text[WORDS_SIZE], const char *word)
{
    size_t n = strlen(text);
    snprintf(text + n, WORDS_SIZE - n, "%s%s", n ? ", " : "", word);
}

static void list_features(uint64_t set, char text[WORDS_SIZE])
{
    text[0] = '\0';
    for (int i = 0; i < NDE_FEATURE_COUNT; i++)
        if (set >> i & 1)
            add_word(text, feature[i].name);
}

static void say_unknown(int n, const NdeVariant *variant, const char *wanted, NdeError *e)
{
    char there[WORDS_SIZE] = "";
    for (int i = 0; i < n; i++)
        add_word(there, variant[i].model->isa);
    nde_fail(e, NDE_EXIT_FILE, "NDE_ISA asks for '%.40s', and this program is built for %s", wanted, there);
}

static void say_lacking(const NdeVariant *v, const char *wanted, uint64_t machine, NdeError *e)
{
    char missing[WORDS_SIZE];
    list_features(lacks(v, machine), missing);
    if (wanted)
        nde_fail(e, NDE_EXIT_FILE, "NDE_ISA asks for '%s', and this machine lacks %s", wanted, missing);
    else
        nde_fail(
            e, NDE_EXIT_FILE,
            "this program is built for '%s', and this machine lacks %s\n"
            "build it on this machine; or `ndec build --isa all` makes a program for several, `--isa plain` for all",
            v->model->isa, missing);
}

const NdeVariant *nde_variant_choose(int n, const NdeVariant *variant, const char *wanted, uint64_t machine,
                                     NdeError *e)
{
    const NdeVariant *last = NULL;
    for (int i = 0; i < n; i++) {
        if (wanted && strcmp(wanted, variant[i].model->isa))
            continue;
        last = &variant[i];
        if (!lacks(last, machine))
            return last;
    }
    if (last)
        say_lacking(last, wanted, machine, e);
    else
        say_unknown(n, variant, wanted, e);
    return NULL;
}
