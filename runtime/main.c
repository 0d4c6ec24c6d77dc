/* main.c: the program around a model: reads the command line, runs the command in its number type, reports.
 *
 * Needs: the two models of the generated files. Gives: an exit code.
 * Elsewhere: everything else. */
#include "program.h"

#include <signal.h>
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

/* The first signal asks for an end after the batch, the second one ends the program as usual. */
static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN; /* a closed pipe shows as an error of the write */
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
}

int nde_main(int argc, char **argv, const NdeModel *model, const NdeModel *model_f64)
{
    NdeError error = {0};
    NdeOptions options;
    bool is_done = false;
    int status = nde_command_read(argc, argv, model, &options, &is_done, &error);
    if (!status && !is_done) {
        if (options.task == NDE_TASK_TRAIN)
            catch_signals();
        if (options.task == NDE_TASK_CHECK && !model_f64)
            status = nde_fail(&error, NDE_EXIT_FILE,
                              "this program was built without its float64 half, which check-gradient needs");
        else if (options.task == NDE_TASK_CHECK)
            status = nde_perform_f64(model_f64, &options, &error);
        else if (model->is_double)
            status = nde_perform_f64(model, &options, &error);
        else
            status = nde_perform_f32(model, &options, &error);
    }
    if (!status && (fflush(stdout) || ferror(stdout)))
        status = nde_fail(&error, NDE_EXIT_FILE, "the standard output cannot be written");
    if (status && error.text[0])
        fprintf(stderr, "%s: %s\n", options.program, error.text);
    nde_command_free(&options);
    return status;
}
