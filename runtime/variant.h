/* variant.h: which of the program's variants this machine can run. */
#ifndef NDE_VARIANT_H
#define NDE_VARIANT_H

#include "error.h"
#include "nde.h"

/* The features (nde_feature.h) that this machine has and its system lets programs use. */
uint64_t nde_machine_features(void);

/* The variant named `wanted`, or for NULL the first one that a machine with these features can run. NULL after a
 * message. */
const NdeVariant *nde_variant_choose(int n, const NdeVariant *variant, const char *wanted, uint64_t machine,
                                     NdeError *e);

#endif
