/* emit_run.h: runs the functions of an emitted file on numbers from stdin: the smallest runtime that nde.h allows.
 *
 * Included behind the emitted text. Reads the number of samples, then for each program of the model its inputs, sample
 * by sample; prints every output, one number a line. Two groups of tiles, outputs start at NaN or, if they are added
 * to, at zero. */
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS = 2 };

int NDE_NAME(nde_solve)(NdeRun *run, const NdeSolve *solve, const NdeRef *in, const NdeRef *out)
{
    (void)run, (void)solve, (void)in, (void)out;
    return 70;
}

int NDE_NAME(nde_solve_vjp)(NdeRun *run, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed,
                            const NdeRef *out)
{
    (void)run, (void)vjp, (void)in, (void)seed, (void)out;
    return 70;
}

void NDE_NAME(nde_share)(NdeRun *run, double flops, void (*piece)(void *context, int item, int n), void *context)
{
    (void)run, (void)flops;
    piece(context, 0, 1);
}

void NDE_NAME(nde_hold)(NdeRun *run, int tile, void *v, size_t n, bool is_double)
{
    (void)run, (void)tile, (void)v, (void)n, (void)is_double;
}

/* Every watched number must be there: reading them under a sanitizer is the test. */
void NDE_NAME(nde_watch)(NdeRun *run, int tile, const void *v, size_t n, bool is_double, int line, const char *name)
{
    double sum = 0;
    (void)run, (void)tile, (void)line;
    for (size_t i = 0; i < n; i++)
        sum += is_double ? ((const double *)v)[i] : (double)((const Real *)v)[i];
    if (sum != sum)
        fprintf(stderr, "%s is not a number\n", name);
}

static void *block(size_t n)
{
    void *at = aligned_alloc(64, (n + 63) / 64 * 64 + 64);
    if (!at)
        exit(70);
    memset(at, 0xff, (n + 63) / 64 * 64 + 64);
    return at;
}

static double next_number(void)
{
    double x;
    if (scanf("%lf", &x) != 1)
        exit(2);
    return x;
}

static NdeRef read_value(NdeValue v, int samples, int tiles)
{
    if (!v.is_batched && v.n == 1) {
        double *at = block(sizeof *at);
        *at = next_number();
        return (NdeRef){at, 0};
    }
    Real *at = block((size_t)v.n * sizeof(Real) * (v.is_batched ? (size_t)tiles * TILE : 1));
    for (int s = 0; s < (v.is_batched ? samples : 1); s++)
        for (int i = 0; i < v.n; i++)
            at[v.is_batched ? (s / TILE * v.n + i) * TILE + s % TILE : i] = (Real)next_number();
    for (int s = samples; v.is_batched && s < tiles * TILE; s++)
        for (int i = 0; i < v.n; i++)
            at[(s / TILE * v.n + i) * TILE + s % TILE] =
                at[((samples - 1) / TILE * v.n + i) * TILE + (samples - 1) % TILE];
    return (NdeRef){at, v.is_batched ? (size_t)v.n * ROW : 0};
}

static void print_value(NdeValue v, const NdeRef *ref, int samples)
{
    if (!v.is_batched && v.n == 1) {
        printf("%.17g\n", *(double *)ref->at);
        return;
    }
    const Real *at = ref->at;
    for (int s = 0; s < (v.is_batched ? samples : 1); s++)
        for (int i = 0; i < v.n; i++)
            printf("%.17g\n", (double)at[v.is_batched ? (s / TILE * v.n + i) * TILE + s % TILE : i]);
}

static void add_groups(const NdeFrame *frame, const NdeFn *f, const NdeSum *sum)
{
    bool is_added = sum->out >= f->n_set;
    char *to = sum->out >= 0 ? frame->out[sum->out].at : (char *)frame->shared + sum->to;
    for (int i = 0; i < sum->n; i++) {
        double total = 0;
        for (int g = 0; g < GROUPS; g++) {
            const char *from = frame->sum + (size_t)g * f->sum_bytes + sum->from;
            if (sum->n == 1)
                total += *(const double *)from;
            for (int l = 0; sum->n > 1 && l < sum->lanes; l++)
                total += (double)((const Real *)from)[i * sum->lanes + l];
        }
        if (sum->n == 1)
            *(double *)to = total + (is_added ? *(double *)to : 0);
        else
            ((Real *)to)[i] = (Real)(total + (is_added ? (double)((Real *)to)[i] : 0));
    }
}

static void run_tiles(NdeFrame *frame, const NdeFn *f, const NdePart *part, int samples, int tiles)
{
    char *work = block(f->work_bytes);
    memset(frame->sum, 0, GROUPS * f->sum_bytes);
    for (int k = 0; k < tiles && part->tile; k++) {
        Real *mask = block(ROW);
        for (int l = 0; l < TILE; l++)
            mask[l] = k * TILE + l < samples;
        NdeTile at = {frame,
                      frame->run,
                      k,
                      frame->kept + (size_t)k * f->kept_bytes,
                      frame->sum + (size_t)(k * GROUPS / tiles) * f->sum_bytes,
                      work,
                      mask};
        part->tile(&at);
        free(mask);
    }
    for (int i = 0; i < part->n_sum; i++)
        add_groups(frame, f, &part->sum[i]);
    free(work);
}

static void run_fn(const NdeFn *f, int samples)
{
    int tiles = (samples + TILE - 1) / TILE;
    NdeRun run = {.is_watching = true, .is_holding = true, .n_tile = tiles, .batch = samples};
    NdeRef *in = calloc((size_t)f->n_in + 1, sizeof *in), *out = calloc((size_t)f->n_out + 1, sizeof *out);
    for (int i = 0; i < f->n_in; i++)
        in[i] = read_value(f->in[i], samples, tiles);
    for (int i = 0; i < f->n_out; i++) {
        size_t step = f->out[i].is_batched ? (size_t)f->out[i].n * ROW : 0;
        out[i] = (NdeRef){block(step ? step * (size_t)tiles : (size_t)f->out[i].n * sizeof(double)), step};
    }
    NdeFrame frame = {.run = &run, .in = in, .out = out, .is_fresh = true};
    frame.shared = block(f->shared_bytes);
    frame.kept = block(f->kept_bytes * (size_t)tiles);
    frame.sum = block(f->sum_bytes * GROUPS);
    for (int i = 0; i < f->n_part; i++) {
        if (f->part[i].shared && f->part[i].shared(&frame))
            exit(1);
        run_tiles(&frame, f, &f->part[i], samples, tiles);
    }
    for (int i = 0; i < f->n_out; i++)
        print_value(f->out[i], &out[i], samples);
    for (int i = 0; i < f->n_in; i++)
        free(in[i].at);
    for (int i = 0; i < f->n_out; i++)
        free(out[i].at);
    free(frame.shared), free(frame.kept), free(frame.sum), free(in), free(out);
}

int main(void)
{
    const NdeModel *m = &NDE_NAME(nde_model);
    const NdeFn *program[] = {m->train_fn, m->eval_fn, m->predict_fn, m->hyper_fn};
    int samples = (int)next_number();
    for (int i = 0; i < 4; i++)
        if (program[i])
            run_fn(program[i], samples);
    return 0;
}
