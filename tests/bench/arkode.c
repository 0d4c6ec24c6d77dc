/* arkode.c: ARKODE of SUNDIALS, explicit steps of Dormand-Prince 5(4). */
#include "problems.h"

#include <arkode/arkode_erkstep.h>
#include <nvector/nvector_serial.h>

#define FIELD(name)                                                            \
    static int name##_field(realtype t, N_Vector u, N_Vector k, void *context) \
    {                                                                          \
        (void)t;                                                               \
        (void)context;                                                         \
        name(N_VGetArrayPointer(u), N_VGetArrayPointer(k));                    \
        return 0;                                                              \
    }
FIELD(lorenz)
FIELD(vanderpol)
FIELD(pleiades)

static SUNContext context;

static long solve_one(int which, double *u, double tolerance)
{
    static const ARKRhsFn field[] = {lorenz_field, vanderpol_field, pleiades_field};
    const Problem *p = &problem_list[which];
    N_Vector y = N_VMake_Serial(p->n, u, context);
    void *ark = ERKStepCreate(field[which], 0, y, context);
    double t = 0;
    long evaluations = 0;
    ERKStepSetTableNum(ark, ARKODE_DORMAND_PRINCE_7_4_5);
    ERKStepSStolerances(ark, tolerance, tolerance);
    ERKStepSetStopTime(ark, p->end);
    ERKStepSetMaxNumSteps(ark, 1000000);
    if (ERKStepEvolve(ark, p->end, y, &t, ARK_NORMAL) < 0)
        exit(1);
    ERKStepGetNumRhsEvals(ark, &evaluations);
    ERKStepFree(&ark);
    N_VDestroy(y);
    return evaluations;
}

int main(int argc, char **argv)
{
    if (SUNContext_Create(NULL, &context))
        return 1;
    return run_peer(argc, argv, solve_one);
}
