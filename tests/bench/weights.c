/* weights.c: makes weight files for compiled models from numbers that other programs use.
 *
 * weights flat FILE OUT NAME SHAPE ...   the float32 of a file, one parameter after the other; SHAPE is 100x785 or 100
 * weights net SEED OUT                   the net 2-50-2 of the yardstick: normal numbers, unit by unit
 */
#include "io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16, UNITS = 50 };

static int finish(const char *out, NdeTensor *tensor, int n)
{
    NdeError e = {0};
    NdeTensors all = {.tensor = tensor, .n = n};
    int status = nde_tensors_write(out, &all, &e);
    if (status)
        fprintf(stderr, "weights: %s\n", e.text);
    return status;
}

static int flat(int argc, char **argv)
{
    NdeError e = {0};
    NdeBytes bytes;
    NdeTensor tensor[MOST];
    int n = 0;
    size_t at = 0;
    if (nde_file_read(argv[2], &bytes, &e)) {
        fprintf(stderr, "weights: %s\n", e.text);
        return 2;
    }
    for (int i = 4; i + 1 < argc && n < MOST; i += 2, n++) {
        NdeTensor t = {.name = argv[i], .type = NDE_F32, .value = bytes.at + at};
        for (const char *p = argv[i + 1]; *p; p = *p == 'x' ? p + 1 : p)
            t.dim[t.rank++] = strtol(p, (char **)&p, 10);
        at += 4 * nde_tensor_count(&t);
        tensor[n] = t;
    }
    if (at != bytes.n) {
        fprintf(stderr, "weights: the shapes want %zu bytes, %s has %zu\n", at, argv[2], bytes.n);
        return 2;
    }
    return finish(argv[3], tensor, n);
}

/* SplitMix64 (Steele, Lea & Flood 2014), and normal numbers of Box & Muller (1958) from two of its fractions. */
static uint64_t state;

static double fraction(void)
{
    state += 0x9E3779B97F4A7C15u;
    uint64_t z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(fraction() + 1e-300));
    return radius * cos(2 * acos(-1.0) * fraction());
}

static int net(char **argv)
{
    static float w[UNITS][2], b[UNITS], v[2][UNITS], c[2];
    state = strtoull(argv[2], NULL, 0);
    for (int i = 0; i < UNITS; i++) {
        w[i][0] = (float)(0.5 * normal());
        w[i][1] = (float)(0.5 * normal());
        b[i] = (float)(0.1 * normal());
        v[0][i] = (float)(0.3 * normal());
        v[1][i] = (float)(0.3 * normal());
    }
    NdeTensor tensor[] = {
        {.name = "field.hidden.W", .type = NDE_F32, .rank = 2, .dim = {UNITS, 2}, .value = w},
        {.name = "field.hidden.b", .type = NDE_F32, .rank = 1, .dim = {UNITS}, .value = b},
        {.name = "field.out.W", .type = NDE_F32, .rank = 2, .dim = {2, UNITS}, .value = v},
        {.name = "field.out.b", .type = NDE_F32, .rank = 1, .dim = {2}, .value = c},
    };
    return finish(argv[3], tensor, 4);
}

int main(int argc, char **argv)
{
    if (argc > 4 && !strcmp(argv[1], "flat"))
        return flat(argc, argv);
    if (argc == 4 && !strcmp(argv[1], "net"))
        return net(argv);
    fprintf(stderr, "weights flat FILE OUT NAME SHAPE ... | weights net SEED OUT\n");
    return 2;
}
