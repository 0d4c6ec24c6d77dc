/* trial.h: one alternative of a model on the common problem. Included after batch.h. */
#ifndef NDE_TRIAL_H
#define NDE_TRIAL_H

#include "batch.h"
#include "command.h"
#include "compare.h"

#define nde_trial_open NDE_NAME(nde_trial_open)
#define nde_trial_close NDE_NAME(nde_trial_close)
#define nde_trial_control NDE_NAME(nde_trial_control)
#define nde_trial_level NDE_NAME(nde_trial_level)
#define nde_trial_adapts NDE_NAME(nde_trial_adapts)
#define nde_trial_set NDE_NAME(nde_trial_set)
#define nde_trial_run NDE_NAME(nde_trial_run)
#define nde_trial_output NDE_NAME(nde_trial_output)
#define nde_trial_gradient NDE_NAME(nde_trial_gradient)
#define nde_trial_width NDE_NAME(nde_trial_width)
#define nde_reference NDE_NAME(nde_reference)

typedef struct NdeTrial {
    const NdeModel *model;
    const NdeProblem *problem;
    NdeError *error;
    NdeEngine engine;
    NdeGradient gradient;
    NdeOutputs outputs;
    NdeControl control; /* what a row has in place of the model's */
    double *setting;    /* as the file and --set say: those of other levels follow from it */
} NdeTrial;

/* Engine, batch, weights and memory for the results. Close it in any case. */
int nde_trial_open(NdeTrial *t, const NdeModel *m, const NdeProblem *p, NdeError *e);
void nde_trial_close(NdeTrial *t);
/* Takes the row's controller, before the first run. */
void nde_trial_control(NdeTrial *t, const NdeAlternative *row);
/* Has a solve adaptive steps? */
bool nde_trial_adapts(const NdeModel *m);
/* The relative tolerance of the first solve that has one; where all steps are fixed, the first one's step size. */
double nde_trial_level(const NdeTrial *t);
/* Tolerances (or step sizes) in proportion to the file's, so that nde_trial_level is `level`. */
void nde_trial_set(NdeTrial *t, double level);
/* What is measured, an NdeTimed: a training step without its update, with the noise that nde_trial_gradient has made;
 * predictions where there is no loss. */
int nde_trial_run(void *trial);
/* The outputs [count][width] and the gradient of the losses without regularisers [param_count]. */
int nde_trial_output(NdeTrial *t, double *to);
int nde_trial_gradient(NdeTrial *t, double *to);
int nde_trial_width(const NdeModel *m);
/* nde_reference_f64 of compare.h, and the same for float32. */
int nde_reference(const NdeModel *m, const NdeProblem *p, double tolerance, double *output, double *gradient,
                  NdeError *e);

#endif
