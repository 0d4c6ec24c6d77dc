/* finding.c: what `compare` found, as tables on the terminal and as CSV.
 *
 * Needs: findings. Gives: text. A row that could not be run stands there with the reason.
 * Elsewhere: measuring (compare.c), the picture (picture.c). */
#include "compare.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 26 }; /* of a name, at most */

static const char *const choice_name[NDE_CHOICES] = {"method", "adjoint", "batching", "controller"};

bool nde_differs_in(const NdeFindings *f, int row, NdeChoice choice)
{
    const NdeAlternative *own = f->at[0].row, *at = f->at[row].row;
    for (int k = 0; k < NDE_CHOICES; k++)
        if (k != (int)choice && strcmp(own->choice[k], at->choice[k]))
            return false;
    return true;
}

static int width_of(const NdeFindings *f, int k)
{
    size_t most = strlen(choice_name[k]);
    for (int i = 0; i < f->n_row; i++) {
        size_t n = strlen(f->at[i].row->choice[k]);
        most = n > most ? n : most;
    }
    return most < WIDTH ? (int)most : WIDTH;
}

/* Row NULL: the head. */
static void show_name(const NdeFindings *f, const NdeAlternative *row, int k)
{
    printf("%-*.*s  ", width_of(f, k), WIDTH, row ? row->choice[k] : choice_name[k]);
}

static void show_names(const NdeFindings *f, const NdeAlternative *row)
{
    for (int k = 0; k < NDE_CHOICES; k++)
        show_name(f, row, k);
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
    show_names(f, at->row);
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
    show_names(f, NULL);
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

/* Evaluations and error of each method, or controller, at each level; nothing where only the file's own was tried. */
static void show_precision(const NdeFindings *f, NdeChoice choice)
{
    int rows = 0;
    for (int i = 0; i < f->n_row; i++)
        rows += nde_differs_in(f, i, choice) && !f->at[i].refusal[0];
    if (rows < 2 && choice != NDE_METHOD)
        return;
    printf("\nevaluations and error at %s\n", f->level_name);
    show_name(f, NULL, (int)choice);
    for (int level = 1; level < f->n_level; level++)
        printf("%19.3g", nde_finding(f, level, 0)->level);
    printf("\n");
    for (int i = 0; i < f->n_row; i++) {
        if (!nde_differs_in(f, i, choice) || f->at[i].refusal[0])
            continue;
        show_name(f, f->at[i].row, (int)choice);
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
    if (f->n_level < 2)
        return;
    show_precision(f, NDE_METHOD);
    show_precision(f, NDE_CONTROLLER);
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
    for (int k = 0; k < NDE_CHOICES; k++) {
        fputs(k ? "," : "", to);
        nde_csv_text(to, at->row->choice[k]);
    }
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        put_number(to, at->refusal[0] && i > 1 ? nan("") : number[i]);
    fputc(',', to);
    nde_csv_text(to, at->refusal);
    fputc('\n', to);
}

void nde_findings_csv(const NdeFindings *f, FILE *to)
{
    for (int k = 0; k < NDE_CHOICES; k++)
        fprintf(to, "%s,", choice_name[k]);
    fprintf(to,
            "%s,own,evaluations,reverse_evaluations,accepted,rejected,forward_ms,reverse_ms,"
            "rest_ms,tape_bytes,work_bytes,error,gradient_error,refusal\n",
            f->level_name);
    for (int i = 0; i < f->n_level * f->n_row; i++)
        put_finding(to, &f->at[i]);
}
