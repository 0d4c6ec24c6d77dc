/* csv.c: tables of numbers as text, in and out.
 *
 * Needs: whole files (file.c), numbers as text (json.c). Gives: nde_csv_table, nde_csv_write, nde_csv_print.
 * The format: RFC 4180 (commas, quotes doubled inside quotes, any line end), with a header if the first line holds a
 * word. What is not a number is noted for its column and read as NaN, since the column may not be needed.
 * Elsewhere: complaining about a column that is needed (data.c). */
#include "io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Csv {
    unsigned char *at, *end; /* what is not read yet; cells are unquoted in place */
    const char *path;
    long line; /* of `at`, from 1 */
    NdeTable *table;
    bool nan_allowed;
    double *value; /* the cells so far */
    size_t n, room;
} Csv;

typedef struct Cell {
    const char *text;
    size_t n;
    long line;
    bool ends_line;
} Cell;

/* ---- cells ---- */

/* Steps over one line end, in any of its three spellings. */
static void pass_line_end(Csv *c)
{
    if (c->at < c->end && *c->at == '\r')
        c->at += c->end - c->at > 1 && c->at[1] == '\n' ? 2 : 1;
    else if (c->at < c->end)
        c->at++;
    c->line++;
}

static bool at_line_end(const Csv *c)
{
    return c->at == c->end || *c->at == '\n' || *c->at == '\r';
}

/* A cell in quotes: doubled quotes are halved, line ends are kept. */
static int quoted_cell(Csv *c, Cell *cell, NdeError *e)
{
    unsigned char *to = ++c->at;
    cell->text = (const char *)to;
    for (;; c->at++) {
        if (c->at == c->end)
            return nde_fail(e, NDE_EXIT_DATA,
                            "'%s', line %ld: a cell starts with a quote here and never ends; close it", c->path,
                            cell->line);
        if (*c->at == '"' && (c->end - c->at < 2 || c->at[1] != '"'))
            break;
        if (*c->at == '"')
            c->at++;
        c->line += *c->at == '\n';
        *to++ = *c->at;
    }
    c->at++;
    cell->n = (size_t)((const char *)to - cell->text);
    if (!at_line_end(c) && *c->at != ',')
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s', line %ld: something follows the closing quote of a cell; put a comma "
                        "there, or double a quote inside quotes",
                        c->path, c->line);
    return 0;
}

static int next_cell(Csv *c, Cell *cell, NdeError *e)
{
    cell->line = c->line;
    int status = 0;
    if (c->at < c->end && *c->at == '"') {
        status = quoted_cell(c, cell, e);
    } else {
        cell->text = (const char *)c->at;
        while (!at_line_end(c) && *c->at != ',')
            c->at++;
        cell->n = (size_t)((const char *)c->at - cell->text);
    }
    cell->ends_line = at_line_end(c);
    if (status)
        return status;
    if (cell->ends_line)
        pass_line_end(c);
    else
        c->at++;
    return 0;
}

static void trim(Cell *cell)
{
    while (cell->n > 0 && (*cell->text == ' ' || *cell->text == '\t'))
        cell->text++, cell->n--;
    while (cell->n > 0 && (cell->text[cell->n - 1] == ' ' || cell->text[cell->n - 1] == '\t'))
        cell->n--;
}

/* Blank, or one of the words for "not measured". */
static bool is_missing(Cell cell)
{
    static const char *const word[] = {"", "NA", "N/A", "NaN", "nan", "NULL", "null"};
    trim(&cell);
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++)
        if (cell.n == strlen(word[i]) && memcmp(cell.text, word[i], cell.n) == 0)
            return true;
    return false;
}

static bool is_word(const Cell *cell)
{
    double x;
    return !is_missing(*cell) && !nde_number_read(cell->text, cell->n, &x);
}

/* ---- lines ---- */

static int add_value(Csv *c, const Cell *cell, int column, NdeError *e)
{
    if (c->n == c->room) {
        size_t room = c->room ? c->room * 2 : 256;
        double *more = nde_enlarge(c->value, room, sizeof *more, e);
        if (!more)
            return e->exit_code;
        c->value = more;
        c->room = room;
    }
    double *x = &c->value[c->n++];
    if (nde_number_read(cell->text, cell->n, x))
        return 0;
    *x = (double)NAN;
    NdeBadCell *bad = &c->table->bad[column];
    if (bad->line == 0 && !(c->nan_allowed && is_missing(*cell))) {
        size_t n = cell->n < sizeof bad->text - 1 ? cell->n : sizeof bad->text - 1;
        bad->line = cell->line;
        memcpy(bad->text, cell->text, n);
        bad->text[n] = '\0';
    }
    return 0;
}

/* The first line: how many columns there are, and their names if one cell is a word; otherwise it is read again as
 * numbers. That may be done, although cells are unquoted in place: only a doubled quote changes the text, and makes a
 * word. */
static int read_first(Csv *c, NdeError *e)
{
    Csv start = *c;
    Cell cell = {0};
    bool has_words = false;
    NdeTable *t = c->table;
    for (bool more = true; more; more = !cell.ends_line) {
        int status = next_cell(c, &cell, e);
        if (status)
            return status;
        char **name = nde_enlarge(t->column, (size_t)t->n_column + 1, sizeof *name, e);
        if (!name)
            return e->exit_code;
        t->column = name;
        has_words |= is_word(&cell);
        trim(&cell);
        name[t->n_column] = nde_allocate(cell.n + 1, 1, e);
        if (!name[t->n_column])
            return e->exit_code;
        memcpy(name[t->n_column++], cell.text, cell.n);
    }
    t->bad = nde_allocate((size_t)t->n_column, sizeof *t->bad, e);
    if (!t->bad)
        return e->exit_code;
    if (has_words)
        return 0;
    for (int i = 0; i < t->n_column; i++)
        free(t->column[i]);
    free(t->column);
    t->column = NULL;
    *c = start;
    return 0;
}

static int read_line(Csv *c, NdeError *e)
{
    Cell cell = {0};
    long line = c->line;
    int column = 0, n = c->table->n_column;
    for (bool more = true; more; more = !cell.ends_line, column++) {
        int status = next_cell(c, &cell, e);
        if (!status && column < n)
            status = add_value(c, &cell, column, e);
        if (status)
            return status;
    }
    if (column == n)
        return 0;
    return nde_fail(e, NDE_EXIT_DATA, "'%s', line %ld: it has %d cell%s, and the first line has %d; make them the same",
                    c->path, line, column, column == 1 ? "" : "s", n);
}

/* Blank lines at the end are not data. */
static void drop_blank_end(Csv *c)
{
    while (c->end > c->at && strchr(" \t\r\n", c->end[-1]) && c->end[-1])
        c->end--;
}

static int read_lines(Csv *c, NdeError *e)
{
    if (c->end - c->at >= 3 && memcmp(c->at, "\xEF\xBB\xBF", 3) == 0)
        c->at += 3; /* a byte order mark, as some spreadsheets write it */
    drop_blank_end(c);
    if (c->at == c->end)
        return nde_fail(e, NDE_EXIT_DATA, "'%s' is empty; it must hold lines of numbers between commas", c->path);
    int status = read_first(c, e);
    while (!status && c->at < c->end)
        status = read_line(c, e);
    return status;
}

int nde_csv_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e)
{
    NdeBytes b = {0};
    int status = nde_table_begin(out, NDE_CELLS, 1, path, e);
    if (!status)
        status = nde_file_read(path, &b, e);
    if (status)
        return nde_table_end(out, status);
    Csv c = {.at = b.at, .end = b.at + b.n, .path = path, .line = 1, .table = out, .nan_allowed = o->nan_allowed};
    status = read_lines(&c, e);
    free(b.at);
    if (status) {
        free(c.value);
        return nde_table_end(out, status);
    }
    long rows = o->rows > 1 ? o->rows : 1, lines = (long)(c.n / (size_t)out->n_column);
    NdeField *f = out->field;
    *f = (NdeField){.type = NDE_F64, .rank = 3, .dim = {lines / rows, rows, out->n_column}, .end = f->end};
    f->block = (unsigned char *)c.value;
    f->value = f->block;
    if (lines % rows != 0)
        status = nde_fail(e, NDE_EXIT_DATA,
                          "'%s' has %ld lines of numbers, which are not whole samples of %ld rows each; "
                          "the last sample has %ld",
                          path, lines, rows, lines % rows);
    return nde_table_end(out, status ? status : nde_table_ends(out, 0, e));
}

/* ---- the way out ---- */

void nde_csv_text(FILE *to, const char *name)
{
    if (!strpbrk(name, ",\"\r\n") && name[0] != ' ') {
        fputs(name, to);
        return;
    }
    fputc('"', to);
    for (const char *s = name; *s; s++) {
        if (*s == '"')
            fputc('"', to);
        fputc(*s, to);
    }
    fputc('"', to);
}

void nde_csv_print(FILE *to, const NdeCells *cells)
{
    for (int i = 0; cells->column && i < cells->n_column; i++) {
        if (i)
            fputc(',', to);
        nde_csv_text(to, cells->column[i]);
    }
    if (cells->column)
        fputc('\n', to);
    const double *x = cells->value;
    for (long row = 0; row < cells->n_row; row++)
        for (int i = 0; i < cells->n_column; i++) {
            char text[NDE_NUMBER_TEXT];
            nde_number_text(*x++, cells->is_float, text);
            fputs(text, to);
            fputc(i + 1 < cells->n_column ? ',' : '\n', to);
        }
}

int nde_csv_write(const char *path, const NdeCells *cells, NdeError *e)
{
    NdeFile *file = nde_file_create(path, e);
    if (!file)
        return e->exit_code;
    nde_csv_print(nde_file_stream(file), cells);
    return nde_file_commit(file, e);
}
