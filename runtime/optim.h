/* optim.h: the rules of optim.def applied to a block of parameters. Included after nde.h by files of one number type.
 */
#ifndef NDE_OPTIM_H
#define NDE_OPTIM_H

#include "nde.h"

#define nde_optim_find NDE_NAME(nde_optim_find)

/* One update of n parameters. g is read; slot[0], slot[1] are the rule's memory (one that it does not have is not
 * touched); t is the step, from 1; hyper: the rule's numbers in the order of optim.def. */
typedef void NdeUpdate(size_t n, Real *p, const Real *g, Real *const slot[2], double t, const double *hyper);

typedef struct NdeHyper { /* a number of a rule */
    const char *name;
    double below; /* it lies from 0 to below this */
} NdeHyper;

typedef struct NdeOptim {
    const char *name;
    int n_slot, n_hyper;
    const NdeHyper *hyper;
    NdeUpdate *update;
    const char *what;
} NdeOptim;

const NdeOptim *nde_optim_find(const char *name); /* NULL: there is none */

#endif
