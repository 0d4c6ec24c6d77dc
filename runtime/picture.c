/* picture.c: what `compare` found, as a picture: errors against evaluations and against time, both logarithmic.
 *
 * Needs: findings. Gives: an SVG file, written here and not by another program, which the machine would have to have.
 * Elsewhere: tables (finding.c). */
#include "compare.h"

#include <math.h>
#include <string.h>

/* In pixels. A panel is a frame with its labels to the left and below, and the names of its curves to the right. */
enum { LEFT = 78, TOP = 40, FRAME = 340, HIGH = 300, NAMES = 190, BOTTOM = 56, PANELS = 4 };
enum { PANEL_WIDE = LEFT + FRAME + NAMES, PANEL_HIGH = TOP + HIGH + BOTTOM, ACROSS = 2 };

/* Colours that are told apart by most eyes (Okabe & Ito 2008); further curves repeat them in dashes. */
static const char *const colour[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
enum { COLOURS = sizeof colour / sizeof *colour };
static const char *const dash[] = {"none", "6,3", "2,2", "8,3,2,3"};
enum { DASHES = sizeof dash / sizeof *dash };

typedef double NumberOf(const NdeFinding *at);

static double evaluations(const NdeFinding *at)
{
    return at->evaluations;
}
static double forward(const NdeFinding *at)
{
    return 1e3 * at->forward;
}
static double both_ways(const NdeFinding *at)
{
    return 1e3 * (at->forward + at->reverse);
}
static double error(const NdeFinding *at)
{
    return at->error;
}
static double gradient_error(const NdeFinding *at)
{
    return at->gradient_error;
}

/* A panel shows the rows that differ from the file in one choice: in a or in b. */
static const struct Panel {
    const char *title, *across, *up;
    NumberOf *x, *y;
    NdeChoice a, b;
} panel[PANELS] = {
    {"methods: error and evaluations", "evaluations of the right-hand side", "relative error", evaluations, error,
     NDE_METHOD, NDE_METHOD},
    {"methods: error and time", "time of the solve, ms", "relative error", forward, error, NDE_METHOD, NDE_METHOD},
    {"adjoints and batchings: gradient", "time forwards and in reverse, ms", "relative error of the gradient",
     both_ways, gradient_error, NDE_ADJOINT, NDE_BATCHING},
    {"controllers: error and evaluations", "evaluations of the right-hand side", "relative error", evaluations, error,
     NDE_CONTROLLER, NDE_CONTROLLER},
};

typedef struct Axis { /* whole decades */
    int low, high;
} Axis;

typedef struct Picture {
    const NdeFindings *f;
    FILE *to;
    const struct Panel *panel;
    double left, top; /* of the frame */
    double line;      /* from one name to the next */
    Axis x, y;
} Picture;

/* Text of the model's file, where < and & mean something else in XML, and other control characters nothing. */
static void put_text(FILE *to, const char *text)
{
    for (; *text; text++)
        if (*text == '<' || *text == '&' || *text == '>')
            fprintf(to, "&#%d;", *text);
        else
            fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
}

static bool is_shown(const Picture *p, int row)
{
    bool has_row = nde_differs_in(p->f, row, p->panel->a) || nde_differs_in(p->f, row, p->panel->b);
    return has_row && !p->f->at[row].refusal[0];
}

/* The point of a row at a level; false if it has none on logarithmic axes. */
static bool point_of(const Picture *p, int level, int row, double *x, double *y)
{
    const NdeFinding *at = nde_finding(p->f, level, row);
    *x = p->panel->x(at);
    *y = p->panel->y(at);
    return !at->refusal[0] && *x > 0 && *y > 0 && isfinite(*x) && isfinite(*y);
}

static void widen(Axis *axis, double x)
{
    int low = (int)floor(log10(x)), high = (int)ceil(log10(x));
    axis->low = low < axis->low ? low : axis->low;
    axis->high = high > axis->high ? high : axis->high;
}

/* False if there is nothing to be shown. */
static bool find_axes(Picture *p)
{
    p->x = p->y = (Axis){400, -400};
    for (int level = 1; level < p->f->n_level; level++)
        for (int row = 0; row < p->f->n_row; row++) {
            double x = 0, y = 0;
            if (!is_shown(p, row) || !point_of(p, level, row, &x, &y))
                continue;
            widen(&p->x, x);
            widen(&p->y, y);
        }
    p->x.high += p->x.high == p->x.low;
    p->y.high += p->y.high == p->y.low;
    return p->x.high > p->x.low;
}

static double place(Axis axis, double x)
{
    return (log10(x) - axis.low) / (axis.high - axis.low);
}

static double across(const Picture *p, double x)
{
    return p->left + FRAME * place(p->x, x);
}

static double down(const Picture *p, double y)
{
    return p->top + HIGH * (1 - place(p->y, y));
}

/* 10 to the power k; x is between the two parts. */
static void draw_power(const Picture *p, double x, double y, int k)
{
    fprintf(p->to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">10</text>\n", x, y);
    fprintf(p->to, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"9\">%d</text>\n", x + 1, y - 5, k);
}

static void draw_grid(const Picture *p)
{
    int every = 1 + (p->y.high - p->y.low) / 12;
    for (int k = p->x.low; k <= p->x.high; k++) {
        double x = p->left + FRAME * (double)(k - p->x.low) / (p->x.high - p->x.low);
        fprintf(p->to, "<path d=\"M%.1f %.1fv%d\" stroke=\"#ddd\"/>\n", x, p->top, HIGH);
        draw_power(p, x + 3, p->top + HIGH + 18, k);
    }
    for (int k = p->y.low; k <= p->y.high; k += every) {
        double y = p->top + HIGH * (1 - (double)(k - p->y.low) / (p->y.high - p->y.low));
        fprintf(p->to, "<path d=\"M%.1f %.1fh%d\" stroke=\"#ddd\"/>\n", p->left, y, FRAME);
        draw_power(p, p->left - 20, y + 4, k);
    }
    fprintf(p->to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#333\"/>\n", p->left,
            p->top, FRAME, HIGH);
}

static void draw_labels(const Picture *p)
{
    fprintf(p->to, "<text x=\"%.1f\" y=\"%.1f\" font-weight=\"bold\">%s</text>\n", p->left, p->top - 12,
            p->panel->title);
    fprintf(p->to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", p->left + FRAME / 2.0,
            p->top + HIGH + 40, p->panel->across);
    fprintf(p->to, "<text transform=\"translate(%.1f %.1f) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            p->left - 52, p->top + HIGH / 2.0, p->panel->up);
}

static void draw_name(const Picture *p, int row, int k)
{
    const NdeAlternative *at = p->f->at[row].row;
    double x = p->left + FRAME + 14, y = p->top + 10 + p->line * k;
    fprintf(p->to, "<path d=\"M%.1f %.1fh24\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>\n", x, y,
            colour[k % COLOURS], dash[k / COLOURS % DASHES]);
    fprintf(p->to, "<text x=\"%.1f\" y=\"%.1f\">", x + 30, y + 4);
    put_text(p->to, at->choice[p->panel->a]);
    if (p->panel->b != p->panel->a) {
        fputs(", ", p->to);
        put_text(p->to, at->choice[p->panel->b]);
    }
    fputs("</text>\n", p->to);
}

static void draw_curve(const Picture *p, int row, int k)
{
    double x = 0, y = 0;
    const char *to = "M";
    fprintf(p->to, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" d=\"",
            colour[k % COLOURS], dash[k / COLOURS % DASHES]);
    for (int level = 1; level < p->f->n_level; level++)
        if (point_of(p, level, row, &x, &y)) {
            fprintf(p->to, "%s%.1f %.1f", to, across(p, x), down(p, y));
            to = "L";
        }
    fputs(*to == 'M' ? "M0 0\"/>\n" : "\"/>\n", p->to);
    for (int level = 1; level < p->f->n_level; level++)
        if (point_of(p, level, row, &x, &y))
            fprintf(p->to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", across(p, x), down(p, y),
                    colour[k % COLOURS]);
}

static int count_names(const Picture *p)
{
    int names = 0;
    for (int row = 0; row < p->f->n_row; row++)
        names += is_shown(p, row);
    return names;
}

/* Has the panel a point? The file's controller alone is the curve of its method. */
static bool has_content(Picture *p)
{
    return count_names(p) > (p->panel->a == NDE_CONTROLLER) && find_axes(p);
}

static void draw_panel(Picture *p)
{
    int names = count_names(p);
    p->line = fmin(18, (HIGH + BOTTOM) / fmax(1, names));
    draw_grid(p);
    draw_labels(p);
    for (int row = 0, k = 0; row < p->f->n_row; row++)
        if (is_shown(p, row)) {
            draw_curve(p, row, k);
            draw_name(p, row, k++);
        }
}

void nde_findings_svg(const NdeFindings *f, FILE *to)
{
    Picture shown[PANELS];
    int n = 0;
    for (int i = 0; i < PANELS; i++) {
        shown[n] = (Picture){.f = f, .to = to, .panel = &panel[i]};
        n += has_content(&shown[n]);
    }
    int wide = ACROSS * PANEL_WIDE, high = 30 + (n + ACROSS - 1) / ACROSS * PANEL_HIGH;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
            wide, high, wide, high, wide, high);
    fputs("<text x=\"20\" y=\"24\" font-size=\"14\">", to);
    put_text(to, f->model->file);
    fprintf(to, ", %s, %d samples; one point for each %s</text>\n", f->model->is_double ? "float64" : "float32",
            f->batch, f->level_name);
    for (int i = 0; i < n; i++) {
        shown[i].left = (i % ACROSS) * PANEL_WIDE + LEFT;
        shown[i].top = 30 + (i / ACROSS) * PANEL_HIGH + TOP;
        draw_panel(&shown[i]);
    }
    fputs("</svg>\n", to);
}
