/* latency_run.h: runs the program `predict` of an emitted file, linked with the runtime, for one sample by the latency
 * form and for two equal samples in the ordinary way, which takes the same steps; included behind the emitted text.
 * Arguments: the most by which results may differ, relative to 1 + |u|; by how many steps counts may differ, -1: both
 * must fail with the same message; then settings NAME=VALUE, and numbers that the first output should be. */
#include <stdio.h>
#include <stdlib.h>

#include "run.h"

static NdeEngine engine;
static NdeError error;
static const NdeModel *const model = &NDE_NAME(nde_model);

static void fill(void)
{
    for (size_t i = 0; i < model->param_count; i++)
        engine.param[i] = (Real)(0.4 * sin(1 + 37 * (double)i));
    for (int d = 0; d < model->n_data; d++)
        for (int i = 0; i < model->data[d].n; i++)
            for (int l = 0; l < TILE; l++)
                ((Real *)engine.data[d].at)[i * TILE + l] = (Real)(0.7 + 0.5 * cos(3 * i + d));
}

static void set(const char *text)
{
    const char *value = strchr(text, '=');
    for (int i = 0; i < model->n_setting; i++)
        if (value && !strncmp(model->setting[i].name, text, (size_t)(value - text)) &&
            model->setting[i].name[value - text] == '\0') {
            engine.setting[i] = atof(value + 1);
            return;
        }
    fprintf(stderr, "there is no setting %s\n", text);
    exit(2);
}

static NdeRef *outputs(void)
{
    NdeRef *out = calloc((size_t)model->n_output + 1, sizeof *out);
    for (int i = 0; i < model->n_output; i++) {
        size_t bytes = (nde_value_bytes(&engine, model->output[i]) + 127) / 64 * 64;
        out[i] = nde_value_ref(&engine, model->output[i], aligned_alloc(64, bytes));
    }
    return out;
}

static void compare(const NdeRef *one, const NdeRef *two, double most)
{
    for (int i = 0; i < model->n_output; i++)
        for (int k = 0; k < model->output[i].n; k++) {
            double a = nde_value_get(&engine, model->output[i], one[i], 0, k);
            double b = nde_value_get(&engine, model->output[i], two[i], 0, k);
            if (fabs(a - b) <= most * (1 + fabs(b)))
                continue;
            fprintf(stderr, "number %d of output %d: %.17g by the latency form, %.17g in the ordinary way\n", k, i, a,
                    b);
            exit(1);
        }
}

/* The first output against numbers from elsewhere. */
static void expect(const NdeRef *one, int n, char **number, double most)
{
    for (int k = 0; k < n; k++) {
        double got = nde_value_get(&engine, model->output[0], one[0], 0, k), want = atof(number[k]);
        if (fabs(got - want) <= most * (1 + fabs(want)))
            continue;
        fprintf(stderr, "number %d is %.17g, not %.17g\n", k, got, want);
        exit(1);
    }
}

static void close_all(NdeRef **out)
{
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < model->n_output; i++)
            free(out[k][i].at);
        free(out[k]);
    }
    nde_engine_close(&engine);
}

int main(int argc, char **argv)
{
    int n_setting = 3;
    double most = argc > 2 ? atof(argv[1]) : 0, steps = argc > 2 ? atof(argv[2]) : 0;
    long accepted[2] = {0}, rejected[2] = {0}, evaluations[2] = {0};
    char message[2][sizeof error.text];
    if (nde_engine_open(&engine, model, 2, 1, &error))
        return 2;
    fill();
    for (; n_setting < argc && strchr(argv[n_setting], '='); n_setting++)
        set(argv[n_setting]);
    NdeRef *out[2] = {outputs(), outputs()};
    for (int k = 0; k < 2; k++) {
        nde_engine_batch(&engine, k + 1);
        int status = nde_frame_run(&engine, model->predict_fn, NULL, out[k]);
        memcpy(message[k], error.text, sizeof error.text);
        if (steps < 0 ? !status : status) {
            fprintf(stderr, "%d samples: status %d: %s\n", k + 1, status, error.text);
            return 1;
        }
        for (int i = 0; i < model->n_solve; i++) {
            const NdeFlow *f = &engine.flow[i];
            accepted[k] += f->accepted, rejected[k] += f->rejected, evaluations[k] += f->evaluations;
            if (k == 0 && steps >= 0 && f->is_stepping) {
                fprintf(stderr, "'%s' was solved in the ordinary way\n", f->solve->name);
                return 1;
            }
        }
    }
    if (steps < 0) {
        close_all(out);
        return strcmp(message[0], message[1]) ? (fprintf(stderr, "%s\n%s\n", message[0], message[1]), 1) : 0;
    }
    compare(out[0], out[1], most);
    expect(out[0], argc - n_setting, argv + n_setting, most);
    if (fabs((double)(accepted[0] - accepted[1])) > steps || fabs((double)(rejected[0] - rejected[1])) > steps ||
        accepted[0] == 0 || (steps == 0 && evaluations[0] != evaluations[1])) {
        fprintf(stderr, "accepted %ld and %ld, rejected %ld and %ld, evaluations %ld and %ld\n", accepted[0],
                accepted[1], rejected[0], rejected[1], evaluations[0], evaluations[1]);
        return 1;
    }
    close_all(out);
    return 0;
}
