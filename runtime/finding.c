/* finding.c: what `compare` found, as tables on the terminal and as CSV.
 *
 * Needs: findings. Gives: text. A row that could not be run stands there with the reason.
 * Elsewhere: measuring (compare.c), the picture (picture.c). */
#include "compare.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 26 }; /* of a name, at most */

typedef const char *NameOf(const NdeAlternative *row);

static const char *method_of(const NdeAlternative *row)
{
    return row->method;
}
static const char *adjoint_of(const NdeAlternative *row)
{
    return row->adjoint;
}
static const char *batching_of(const NdeAlternative *row)
{
    return row->batching;
}

static const struct {
    const char *name;
    NameOf *of;
} choice[] = {{"method", method_of}, {"adjoint", adjoint_of}, {"batching", batching_of}};
enum { CHOICES = sizeof choice / sizeof *choice };

static int width_of(const NdeFindings *f, int k)
{
    size_t most = strlen(choice[k].name);
    for (int i = 0; i < f->n_row; i++) {
        size_t n = strlen(choice[k].of(f->at[i].row));
        most = n > most ? n : most;
    }
    return most < WIDTH ? (int)most : WIDTH;
}

static void show_names(const NdeFindings *f, const NdeAlternative *row, int n)
{
    for (int k = 0; k < n; k++)
        printf("%-*.*s  ", width_of(f, k), WIDTH, row ? choice[k].of(row) : choice[k].name);
}

static void show_error(double x, int width)
{
    if (isnan(x))
        printf(" %*s", width, "-");
    else
        printf(" %*.2e", width, x);
}

/* ---- the rows at the file's own tolerance ---- */

static void show_row(const NdeFindings *f, const NdeFinding *at)
{
    show_names(f, at->row, CHOICES);
    if (at->refusal[0]) {
        printf("%s\n", at->refusal);
        return;
    }
    printf("%11g", at->evaluations);
    if (f->has_gradient)
        printf(" %9g", at->reverse_evaluations);
    printf(" %9g %9g %11.4g", at->accepted, at->rejected, 1e3 * at->forward);
    if (f->has_gradient)
        printf(" %11.4g", 1e3 * at->reverse);
    printf(" %9.4g %9.4g", at->tape_bytes / 0x1p20, at->work_bytes / 0x1p20);
    show_error(at->error, 10);
    if (f->has_gradient)
        show_error(at->gradient_error, 14);
    printf("\n");
}

static void show_rows(const NdeFindings *f)
{
    show_names(f, NULL, CHOICES);
    printf("%11s", "evaluations");
    if (f->has_gradient)
        printf(" %9s", "reverse");
    printf(" %9s %9s %11s", "accepted", "rejected", "forward ms");
    if (f->has_gradient)
        printf(" %11s", "reverse ms");
    printf(" %9s %9s %10s", "tape MiB", "work MiB", "error");
    if (f->has_gradient)
        printf(" %14s", "gradient error");
    printf("\n");
    for (int i = 0; i < f->n_row; i++)
        show_row(f, nde_finding(f, 0, i));
}

/* ---- all levels ---- */

static bool shows_precision(const NdeFindings *f, int row)
{
    const NdeAlternative *own = f->at[0].row, *at = f->at[row].row;
    return !strcmp(own->adjoint, at->adjoint) && !strcmp(own->batching, at->batching);
}

/* Evaluations and error of each method at each level. */
static void show_precision(const NdeFindings *f)
{
    printf("\nevaluations and error at %s\n%-*s  ", f->level_name, width_of(f, 0), choice[0].name);
    for (int level = 1; level < f->n_level; level++)
        printf("%19.3g", nde_finding(f, level, 0)->level);
    printf("\n");
    for (int i = 0; i < f->n_row; i++) {
        if (!shows_precision(f, i) || f->at[i].refusal[0])
            continue;
        show_names(f, f->at[i].row, 1);
        for (int level = 1; level < f->n_level; level++) {
            const NdeFinding *at = nde_finding(f, level, i);
            if (at->refusal[0]) {
                printf("%19s", "fails");
                continue;
            }
            printf("%8g", at->evaluations);
            show_error(at->error, 10);
        }
        printf("\n");
    }
}

void nde_findings_show(const NdeFindings *f)
{
    const NdeModel *m = f->model;
    printf("%s, %s, at %s %g; %d samples, %d thread%s, medians of %d rounds\n"
           "errors: relative, against %s in float64 at tolerance %g%s\n\n",
           m->file, m->is_double ? "float64" : "float32", f->level_name, f->at[0].level, f->batch, f->threads,
           f->threads == 1 ? "" : "s", f->rounds, f->reference_method, f->reference_level,
           f->has_gradient ? "; the gradient is that of the losses without regularisers" : "");
    show_rows(f);
    if (f->n_level > 1)
        show_precision(f);
}

/* ---- CSV ---- */

static void put_number(FILE *to, double x)
{
    char text[NDE_NUMBER_TEXT];
    nde_number_text(x, false, text);
    fprintf(to, ",%s", isnan(x) ? "" : text);
}

static void put_finding(FILE *to, const NdeFinding *at)
{
    const double number[] = {at->level,         at->is_own,     at->evaluations,   at->reverse_evaluations,
                             at->accepted,      at->rejected,   1e3 * at->forward, 1e3 * at->reverse,
                             1e3 * at->rest,    at->tape_bytes, at->work_bytes,    at->error,
                             at->gradient_error};
    for (int k = 0; k < CHOICES; k++) {
        fputs(k ? "," : "", to);
        nde_csv_text(to, choice[k].of(at->row));
    }
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        put_number(to, at->refusal[0] && i > 1 ? nan("") : number[i]);
    fputc(',', to);
    nde_csv_text(to, at->refusal);
    fputc('\n', to);
}

void nde_findings_csv(const NdeFindings *f, FILE *to)
{
    fprintf(to,
            "method,adjoint,batching,%s,own,evaluations,reverse_evaluations,accepted,rejected,forward_ms,reverse_ms,"
            "rest_ms,tape_bytes,work_bytes,error,gradient_error,refusal\n",
            f->level_name);
    for (int i = 0; i < f->n_level * f->n_row; i++)
        put_finding(to, &f->at[i]);
}
