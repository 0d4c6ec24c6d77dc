/* optim.c: the update rules of optim.def, one loop each.
 *
 * Needs: gradients. Gives: updated parameters.
 * Elsewhere: clipping and which parameters are frozen (train.c). */
#include "optim.h"

#include <math.h>
#include <string.h>

#define R(x) ((Real)(x))
#ifdef NDE_DOUBLE
#define SQRT(x) sqrt(x)
#define ABS(x) fabs(x)
#define MAX(x, y) fmax(x, y)
#else
#define SQRT(x) sqrtf(x)
#define ABS(x) fabsf(x)
#define MAX(x, y) fmaxf(x, y)
#endif

#define HYPER(name, otherwise, below) const double name = *hyper++;
#define OPTIM(id, slots, numbers, once, each, what)                                                  \
    static void update_##id(size_t n, Real *restrict at, const Real *restrict gradient,              \
                            Real *const slot[2], double t, const double *hyper)                      \
    {                                                                                                \
        Real *restrict slot0 = slot[0], *restrict slot1 = slot[1];                                   \
        (void)t;                                                                                     \
        numbers once;                                                                                \
        for (size_t i = 0; i < n; i++) {                                                             \
            Real p = at[i], g = gradient[i], s0 = slot0[i], s1 = slots > 1 ? slot1[i] : 0;           \
            each;                                                                                    \
            at[i] = p;                                                                               \
            slot0[i] = s0;                                                                           \
            if (slots > 1)                                                                           \
                slot1[i] = s1;                                                                       \
        }                                                                                            \
    }
#include "optim.def"
#undef OPTIM
#undef HYPER

#define HYPER(name, otherwise, below) {#name, below},
#define OPTIM(id, slots, numbers, ...) static const NdeHyper hyper_##id[] = {numbers};
#include "optim.def"
#undef OPTIM
#undef HYPER

static const NdeOptim optim[] = {
#define OPTIM(id, slots, numbers, once, each, what) \
    {#id, slots, sizeof hyper_##id / sizeof *hyper_##id, hyper_##id, update_##id, what},
#include "optim.def"
#undef OPTIM
};

const NdeOptim *nde_optim_find(const char *name)
{
    for (size_t i = 0; i < sizeof optim / sizeof *optim; i++)
        if (!strcmp(optim[i].name, name))
            return &optim[i];
    return NULL;
}
