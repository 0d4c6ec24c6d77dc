/* main.c: the program around a model: reads the command line, runs the command in its number type, reports.
 *
 * Needs: the models of the generated files. Gives: an exit code.
 * Elsewhere: everything else. */
#include "compare.h"
#include "program.h"
#include "variant.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t is_interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    is_interrupted = 1;
}

bool nde_is_interrupted(void)
{
    return is_interrupted != 0;
}

/* The first signal asks for an end after the batch, the second one ends the program as usual. A terminal that goes away
 * is one too, unless nohup has it ignored. */
static void catch_signals(void)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe shows as an error of the write */
}

static int compare(const NdeModel *model, const NdeComparison *comparison, NdeOptions *o, NdeError *e)
{
    if (!comparison)
        return nde_fail(e, NDE_EXIT_FILE,
                        "this program holds one method, adjoint and batching. One that holds others to compare is made "
                        "and run by\n  ndec compare %s",
                        model->file);
    return model->is_double ? nde_compare_f64(comparison, model, o, e) : nde_compare_f32(comparison, model, o, e);
}

static int perform(const NdeVariant *variant, const NdeComparison *comparison, NdeOptions *o, NdeError *e)
{
    const NdeModel *model = variant->model;
    if (o->task == NDE_TASK_TRAIN || o->task == NDE_TASK_COMPARE)
        catch_signals();
    if (o->task == NDE_TASK_CHECK && !variant->model_f64)
        return nde_fail(e, NDE_EXIT_FILE,
                        "this program was built without its float64 half, which check-gradient needs");
    if (o->task == NDE_TASK_CHECK)
        return nde_perform_f64(variant->model_f64, o, e);
    if (o->task == NDE_TASK_COMPARE)
        return compare(model, comparison, o, e);
    return model->is_double ? nde_perform_f64(model, o, e) : nde_perform_f32(model, o, e);
}

static int run(int argc, char **argv, int n, const NdeVariant *variant, const NdeComparison *comparison)
{
    NdeError error = {0};
    NdeOptions options = {0};
    const char *name = variant->model->name;
    bool is_done = false;
    signal(SIGXFSZ, SIG_IGN); /* so does a file that grows too large */
    const char *wanted = getenv("NDE_ISA");
    variant = nde_variant_choose(n, variant, wanted && *wanted ? wanted : NULL, nde_machine_features(), &error);
    int status = variant ? nde_command_read(argc, argv, variant->model, &options, &is_done, &error) : error.exit_code;
    if (!status && !is_done)
        status = perform(variant, comparison, &options, &error);
    if (!status && (fflush(stdout) || ferror(stdout)))
        status = nde_fail(&error, NDE_EXIT_FILE, "the standard output cannot be written");
    if (status && error.text[0])
        fprintf(stderr, "%s: %s\n", name, error.text);
    nde_command_free(&options);
    return status;
}

int nde_main(int argc, char **argv, int n, const NdeVariant *variant)
{
    return run(argc, argv, n, variant, NULL);
}

int nde_main_compare(int argc, char **argv, const NdeVariant *variant, const NdeComparison *comparison)
{
    return run(argc, argv, 1, variant, comparison);
}
