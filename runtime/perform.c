/* perform.c: from a task to its command, in one number type. */
#include "batch.h"
#include "command.h"
#include "train.h"

#define nde_perform NDE_NAME(nde_perform)

int nde_perform(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    static int (*const command[NDE_TASKS])(const NdeModel *, NdeOptions *, NdeError *) = {
        [NDE_TASK_TRAIN] = nde_train,          [NDE_TASK_EVAL] = nde_eval,
        [NDE_TASK_PREDICT] = nde_predict,      [NDE_TASK_SOLVE] = nde_trajectory,
        [NDE_TASK_CHECK] = nde_check_gradient, [NDE_TASK_GRADIENT] = nde_write_gradient,
        [NDE_TASK_BENCH] = nde_bench,
    };
    return command[o->task](m, o, e);
}
