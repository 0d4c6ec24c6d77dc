/* param.h: parameters as a flat block: their first values, and to and from files. Included after run.h. */
#ifndef NDE_PARAM_H
#define NDE_PARAM_H

#include "io.h"
#include "run.h"

#define nde_param_init NDE_NAME(nde_param_init)
#define nde_param_load NDE_NAME(nde_param_load)
#define nde_param_save NDE_NAME(nde_param_save)
#define nde_param_tensor NDE_NAME(nde_param_tensor)
#define nde_param_fetch NDE_NAME(nde_param_fetch)
#define nde_param_finite NDE_NAME(nde_param_finite)

/* First values of all parameters of the model, by the rows of init.def and the seed. 0 or an exit code. */
int nde_param_init(const NdeModel *m, uint64_t seed, Real *to, NdeError *e);

/* A tensor that describes parameter p of the flat block `from`, under the given name (both outlive it). */
NdeTensor nde_param_tensor(const NdeParam *p, const char *name, const Real *from);

/* Weights by name. The first tensor that is missing, superfluous or of another shape is an error that names it. */
int nde_param_load(const NdeModel *m, const char *path, Real *to, NdeError *e);
int nde_param_save(const NdeModel *m, const char *path, const Real *from, NdeError *e);
/* The tensors called prefix + name of every parameter, from a file that was read; `what` names the file in messages. */
int nde_param_fetch(const NdeModel *m, const NdeTensors *tensors, const char *prefix, const char *what, Real *to,
                    NdeError *e);
/* An error that names the first number that is none, if there is one. */
int nde_param_finite(const NdeModel *m, const Real *from, const char *what, NdeError *e);

#endif
