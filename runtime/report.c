/* report.c: what a run shows and logs: the live line, plain lines, log.jsonl.
 *
 * Needs: figures of steps and evaluations. Gives: one line on a terminal that is written over, at most one line a
 * second elsewhere; a JSON line for every step and evaluation. Elsewhere: the summary (train.c), messages of failures
 * (main.c). */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double nde_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int nde_report_open(NdeReport *r, const NdeModel *m, const char *dir, long keep_bytes, NdeError *e)
{
    r->model = m;
    r->is_terminal = isatty(STDOUT_FILENO);
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    r->is_coloured = r->is_terminal && !(no_colour && *no_colour) && !(terminal && !strcmp(terminal, "dumb"));
    r->started = nde_clock();
    r->shown = -1;
    snprintf(r->log_path, sizeof r->log_path, "%s/log.jsonl", dir);
    r->log = fopen(r->log_path, "a");
    if (!r->log)
        return nde_fail(e, NDE_EXIT_FILE, "%s cannot be written: give another folder with --out", r->log_path);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET}; /* until the program ends, however it ends */
    if (fcntl(fileno(r->log), F_SETLK, &whole) && (errno == EACCES || errno == EAGAIN))
        return nde_fail(e, NDE_EXIT_FILE, "another program is training in %s: wait for its end, or give another folder",
                        dir);
    struct stat there;
    if (keep_bytes >= 0 && !fstat(fileno(r->log), &there) && there.st_size > keep_bytes &&
        (ftruncate(fileno(r->log), keep_bytes) || fseek(r->log, 0, SEEK_END)))
        return nde_fail(e, NDE_EXIT_FILE, "%s cannot be cut to the step of the checkpoint", r->log_path);
    return 0;
}

static void end_line(NdeReport *r)
{
    if (r->is_line_open)
        fputs("\n", stdout);
    r->is_line_open = false;
}

void nde_report_close(NdeReport *r)
{
    end_line(r);
    fflush(stdout);
    if (r->log)
        fclose(r->log);
    r->log = NULL;
    nde_json_free(&r->json);
}

double nde_report_seconds(const NdeReport *r)
{
    return round(1e6 * (r->before + nde_clock() - r->started)) / 1e6; /* microseconds: few digits to write */
}

long nde_report_bytes(NdeReport *r)
{
    return ftell(r->log);
}

int nde_report_write(NdeReport *r, NdeError *e)
{
    r->written = nde_clock();
    return nde_json_flush(r->log, r->log_path, e);
}

/* Lines of the log go to the file a few times a second: a step may take a tenth of a millisecond. */
static int end_record(NdeReport *r, NdeError *e)
{
    int status = nde_json_end(&r->json, r->log, r->log_path, e);
    return status || nde_clock() - r->written < 0.1 ? status : nde_report_write(r, e);
}

/* A duration as people say it: 9s, 1:42, 2:03:10. */
static void duration_text(double seconds, char out[32])
{
    long s = (long)(fmin(seconds, 1e8) + 0.5);
    if (s < 60)
        snprintf(out, 32, "%lds", s);
    else if (s < 3600)
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static void show_step(NdeReport *r, long step, const NdeFigures *f)
{
    double now = nde_clock();
    double every = r->is_terminal ? 0.1 : 1;
    if (r->is_quiet || (r->shown >= 0 && now - r->shown < every && step < r->steps))
        return;
    r->shown = now;
    double spent = fmax(now - r->started, 1e-9), done = (double)(step - r->first);
    char left[32];
    duration_text(spent / done * (double)(r->steps - step), left);
    const char *bold = r->is_coloured ? "\033[1m" : "", *plain = r->is_coloured ? "\033[0m" : "";
    printf("%sstep %ld/%ld  loss %s%.4g%s  reg %.3g  nfe %g  steps %g+%g  %.3g samples/s  %s left",
           r->is_terminal ? "\r" : "", step, r->steps, bold, f->loss, plain, f->reg, f->nfe, f->accepted, f->rejected,
           done * r->batch / spent, left);
    if (r->is_terminal)
        fputs(r->is_coloured ? "\033[K" : "    ", stdout);
    else
        fputs("\n", stdout);
    r->is_line_open = r->is_terminal;
    fflush(stdout);
}

int nde_report_step(NdeReport *r, long step, const NdeFigures *f, NdeError *e)
{
    nde_json_begin(&r->json);
    nde_json_integer(&r->json, "step", step);
    nde_json_figure(&r->json, "loss", f->loss);
    nde_json_figure(&r->json, "reg", f->reg);
    nde_json_number(&r->json, "nfe", f->nfe);
    nde_json_number(&r->json, "accepted", f->accepted);
    nde_json_number(&r->json, "rejected", f->rejected);
    nde_json_number(&r->json, "seconds", nde_report_seconds(r));
    nde_json_number(&r->json, "reverse_nfe", f->reverse);
    if (f->drift >= 0)
        nde_json_figure(&r->json, "drift", f->drift);
    show_step(r, step, f);
    return end_record(r, e);
}

static void print_figures(const NdeModel *m, const NdeFigures *f)
{
    printf("loss %.6g", f->loss);
    for (int i = 0; i < m->n_metric; i++)
        printf("  %s %.6g", m->metric_name[i], f->metric[i]);
    printf("  nfe %.4g", f->nfe);
}

int nde_report_evaluation(NdeReport *r, long step, const char *on, const NdeFigures *f, NdeError *e)
{
    nde_json_begin(&r->json);
    nde_json_integer(&r->json, "step", step);
    nde_json_text(&r->json, "evaluation", on);
    nde_json_number(&r->json, "loss", f->loss);
    nde_json_number(&r->json, "nfe", f->nfe);
    nde_json_number(&r->json, "accepted", f->accepted);
    nde_json_number(&r->json, "rejected", f->rejected);
    nde_json_open(&r->json, "metrics", '{');
    for (int i = 0; i < r->model->n_metric; i++)
        nde_json_number(&r->json, r->model->metric_name[i], f->metric[i]);
    nde_json_close(&r->json, '}');
    nde_json_number(&r->json, "seconds", nde_report_seconds(r));
    if (!r->is_quiet) {
        end_line(r);
        printf("step %ld, %s: ", step, on);
        print_figures(r->model, f);
        fputs("\n", stdout);
        fflush(stdout);
    }
    int status = nde_json_end(&r->json, r->log, r->log_path, e);
    return status ? status : nde_report_write(r, e);
}

void nde_report_say(NdeReport *r, const char *format, ...)
{
    if (r->is_quiet)
        return;
    end_line(r);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    fputs("\n", stdout);
    fflush(stdout);
}

void nde_report_figures(const NdeModel *m, const NdeFigures *f, long count)
{
    printf("samples %ld\nloss %.9g\n", count, f->loss);
    for (int i = 0; i < m->n_metric; i++)
        printf("%s %.9g\n", m->metric_name[i], f->metric[i]);
    printf("nfe %.6g\naccepted %.6g\nrejected %.6g\n", f->nfe, f->accepted, f->rejected);
}
