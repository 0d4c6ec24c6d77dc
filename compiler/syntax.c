/* syntax.c: what is said about a statement that cannot be parsed, or that cannot stand where it does.
 *
 * Needs: what the parser expected and what the scanner knows of the statement (parser.y: Wrong, Level).  Gives: one
 * message for a statement, in the words of the user.
 * Elsewhere: brackets, numbers and characters (lexer.l); the sentences (diag.def). */
#include "ast.h"
#include "parser.h"

#include <string.h>

/* ---- what cannot stand there ---- */

static const char *source_text(Parse *p, Span span)
{
    return str_copy(p->arena, p->source->text + span.at, span.n);
}

static bool is_outer_only(NodeKind kind)
{
    return kind == NODE_INCLUDE || kind == NODE_PRECISION || kind == NODE_CONST || kind == NODE_DATA ||
           kind == NODE_FN || kind == NODE_LAYER || kind == NODE_QUANTITY || kind == NODE_LOSS || kind == NODE_METRIC ||
           kind == NODE_OUTPUT || kind == NODE_TABLEAU || kind == NODE_TRAIN;
}

static bool is_body_only(NodeKind kind)
{
    return kind == NODE_RETURN || kind == NODE_FOR || kind == NODE_IF;
}

void syntax_place(Parse *p, const Node *node)
{
    bool is_outer = parse_level(p)->kind == LEVEL_file;
    Span word = node->span;
    word.n = parse_run(p->source, word.at, "abcdefghijklmnopqrstuvwxyz");
    if (is_outer && node->kind == NODE_ASSIGN && parse_may_report(p)) {
        DIAG_AT(p->diags, NO_LET, node->name, node->text);
        diag_help(p->diags, "write  let %s = ...", node->text);
    } else if (is_outer && is_body_only(node->kind) && parse_may_report(p)) {
        DIAG_AT(p->diags, BODY_ONLY, word, source_text(p, word));
    } else if (!is_outer && is_outer_only(node->kind) && parse_may_report(p)) {
        DIAG_AT(p->diags, OUTER_ONLY, word, source_text(p, word));
    }
}

/* ---- what is understood but wrong ---- */

void syntax_sum(Parse *p, Span sum, const char *before)
{
    if (!parse_may_report(p))
        return;
    DIAG_AT(p->diags, SUM_BEFORE, sum, before);
    const char *text = source_text(p, sum);
    diag_help(p->diags, "write (%s) %s", sum.n <= 60 && !strchr(text, '\n') ? text : "...", before);
}

void syntax_no_dt(Parse *p, Span flow)
{
    const char *name = parse_level(p)->first.text;
    if (!parse_may_report(p))
        return;
    const char *text = familiar_text("solve", name);
    DIAG_AT(p->diags, NO_DT, flow, name);
    if (text)
        diag_help(p->diags, "that is a clause here, for example,  %s", text);
    else if (name[0] == 'd' && name[1])
        diag_help(p->diags, "write  %s = ... dt", name);
    else
        diag_help(p->diags, "a start is written  %s(0) = ..., a value that is no equation  let %s = ...", name, name);
}

void syntax_twice(Parse *p, Span second)
{
    if (!parse_may_report(p))
        return;
    DIAG_PLAIN(p->diags, DT_TWICE, second);
    diag_help(p->diags, "write (a + b) dt for a dt + b dt");
}

/* Named arguments and clauses stand once, all but the clause `regularize`. */
static bool stands_once(const Node *node)
{
    return node->kind == NODE_GIVEN || (node->kind == NODE_CLAUSE && !str_eq(node->text, "regularize"));
}

static void report_twice(Parse *p, const Node *second, const Node *first)
{
    DIAG_AT(p->diags, GIVEN_TWICE, second->name, second->text);
    diag_note(p->diags, first->name, "first given here");
}

void syntax_next(Parse *p, const Nodes *before, const Node *node)
{
    for (int i = 0; i < before->n && stands_once(node); i++)
        if (before->at[i]->kind == node->kind && str_eq(before->at[i]->text, node->text)) {
            report_twice(p, node, before->at[i]);
            return;
        }
}

/* Words of a clause that say the same thing, or what only one of can hold; "": a value without a word. */
static const struct {
    const char *head, *word, *other;
} apart[] = {
    {"step", "fixed", "adaptive"}, {"step", "fixed", "initial"},    {"step", "fixed", "min"},
    {"step", "fixed", "max"},      {"tolerance", "", "abs"},        {"tolerance", "", "rel"},
    {"evaluate", "", "every"},     {"batching", "joint", "sample"},
};

static const char *word_of(const Node *part)
{
    return part->kind == NODE_WORD ? part->text : "";
}

/* Does the first part of the clause leave no place for the second? */
static bool excludes(const char *head, const Node *first, const Node *second)
{
    const char *a = word_of(first), *b = word_of(second);
    if (*a && str_eq(a, b))
        return true;
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
        if (str_eq(apart[i].head, head) && ((str_eq(apart[i].word, a) && str_eq(apart[i].other, b)) ||
                                            (str_eq(apart[i].word, b) && str_eq(apart[i].other, a))))
            return true;
    return false;
}

static void report_excluded(Parse *p, const Node *first, const Node *second)
{
    const char *a = word_of(first), *b = word_of(second);
    if (*a && *b && !str_eq(a, b)) {
        DIAG_AT(p->diags, WORD_BESIDE, second->name, b, a);
        diag_note(p->diags, first->name, "which stands here");
        return;
    }
    DIAG_AT(p->diags, GIVEN_TWICE, *b ? second->name : second->span, *b ? b : a);
    diag_note(p->diags, *a ? first->name : first->span, "first given here");
}

/* "adaptive" and "adaptive 3" are one to the grammar. */
static bool takes_value(const char *word)
{
    static const char *const row[] = {"save", "count",   "end", "until", "abs",         "rel",    "fixed",
                                      "min",  "initial", "max", "limit", "checkpoints", "memory", "weight",
                                      "of",   "every",   "and", "dense", "embedded"};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (str_eq(row[i], word))
            return true;
    return false;
}

/* Two words that are one choice: neither stands alone. */
static const struct {
    const char *first, *second;
} phrase[] = {{"through", "state"}, {"at", "accepted"}, {"hold", "slope"}, {"initial", "auto"}, {"initial", "warm"}};
enum { PHRASES = sizeof phrase / sizeof *phrase };

/* Is part i a word that should have another before it or behind it? */
static bool is_half(Parse *p, const Nodes *parts, int i)
{
    const Node *at = parts->at[i];
    const char *before = i > 0 && !parts->at[i - 1]->n ? word_of(parts->at[i - 1]) : "";
    const char *behind = i + 1 < parts->n ? word_of(parts->at[i + 1]) : "", *wanted = NULL;
    bool is_first = false, is_whole = false;
    for (int k = 0; k < PHRASES && at->kind == NODE_WORD && !at->n; k++) {
        bool is_second = str_eq(at->text, phrase[k].second);
        is_first |= str_eq(at->text, phrase[k].first);
        is_whole |= str_eq(is_second ? before : behind, is_second ? phrase[k].first : phrase[k].second);
        wanted = is_second ? phrase[k].first : wanted;
    }
    if (is_whole || (!is_first && !wanted))
        return false;
    if (!parse_may_report(p))
        return true;
    if (wanted)
        DIAG_AT(p->diags, WORD_BEHIND, at->name, at->text, wanted);
    else
        DIAG_AT(p->diags, MISSING_AFTER, at->name, at->text);
    return true;
}

/* Is part i wrong where it stands? values: how many stand before it; most: how many may. */
static bool is_refused(Parse *p, const Node *clause, const Nodes *parts, int i, int values, int most)
{
    const Node *at = parts->at[i], *value = NULL;
    for (int k = 0; k < i; k++) {
        value = parts->at[k]->kind == NODE_WORD ? value : parts->at[k];
        if (!excludes(clause->text, parts->at[k], at))
            continue;
        if (parse_may_report(p))
            report_excluded(p, parts->at[k], at);
        return true;
    }
    if (at->kind != NODE_WORD && values == most) {
        if (!parse_may_report(p))
            return true;
        DIAG_AT(p->diags, VALUE_TWICE, at->span, clause->text);
        if (value)
            diag_note(p->diags, value->span, "this one");
        return true;
    }
    if (at->kind != NODE_WORD || !at->n || takes_value(at->text))
        return is_half(p, parts, i);
    if (parse_may_report(p))
        DIAG_AT(p->diags, WORD_VALUE, at->kid[0]->span, at->text);
    return true;
}

void syntax_clause(Parse *p, const Node *clause)
{
    const Clause *row = parse_level(p)->clause;
    int values = 0, most = row ? row->values : 1;
    Nodes parts = {0};
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++)
            list_push(p->arena, parts, clause->kid[g]->kid[i]);
    for (int i = 0; i < parts.n && !is_refused(p, clause, &parts, i, values, most); i++)
        values += parts.at[i]->kind != NODE_WORD;
}

void syntax_chain(Parse *p, Span chain)
{
    if (!parse_may_report(p))
        return;
    DIAG_PLAIN(p->diags, CHAINED, chain);
    diag_help(p->diags, "write (a < b) * (b < c) for a < b < c");
}

/* ---- what is not understood ---- */

static bool can(const Wrong *w, int token)
{
    return w->can[token];
}

static void drop(Wrong *w, const int *token)
{
    for (; *token; token++)
        w->can[*token] = false;
}

static bool is_found(const Wrong *w, int token)
{
    return w->token.kind == token;
}

static bool is_keyword(const Wrong *w)
{
    return w->token.kind >= TOKEN_CONST && w->token.kind <= TOKEN_DW;
}

/* What could stand there in the user's words, at most four things: "an expression, ',' or ')'". */
static const char *wanted_text(Parse *p, Wrong w)
{
    enum { MOST = 4 };
    const char *thing[PARSE_TOKENS];
    int n = 0;
    static const int operators[] = {'+', '-', '*', '/',      '@',      '^',      '<',      '>', '=',
                                    '(', '[', '.', TOKEN_LE, TOKEN_GE, TOKEN_EQ, TOKEN_NE, 0};
    static const int values[] = {TOKEN_NAME, TOKEN_NUMBER, TOKEN_STRING, '(', '[', '-', 0};
    static const int hidden[] = {TOKEN_O, TOKEN_WORD, TOKEN_NL, 0};
    bool can_end = can(&w, TOKEN_NL) && !can(&w, TOKEN_DT);
    if (can(&w, TOKEN_LET))
        return can(&w, TOKEN_HEAD) ? "an equation or a clause" : "a statement";
    if (can(&w, TOKEN_HEAD))
        return can(&w, TOKEN_NAME) ? "a row or a clause" : "a clause";
    if (can(&w, TOKEN_NUMBER)) {
        thing[n++] = "an expression";
        drop(&w, values);
    } else if (can(&w, '*')) {
        thing[n++] = "an operator";
        drop(&w, operators);
    }
    drop(&w, hidden);
    for (int token = 0; token < PARSE_TOKENS; token++)
        if (w.can[token])
            thing[n++] = parse_token_name(token);
    if (can_end)
        thing[n < MOST ? n++ : MOST - 1] = "the end of the line";
    n = n < MOST ? n : MOST;
    return n ? str_list(p->arena, thing, n, " or ") : "something else";
}

static const char *found_text(Parse *p, const Wrong *w)
{
    enum { LONGEST = 40 };
    if (is_found(w, TOKEN_NL))
        return "the end of the line";
    if (is_found(w, TOKEN_YYEOF))
        return "the end of the file";
    Span span = w->token.span;
    const char *dots = span.n > LONGEST ? "..." : "";
    return str_format(p->arena, "'%.*s%s'", span.n > LONGEST ? LONGEST : (int)span.n, p->source->text + span.at, dots);
}

/* Does the bracket find its end before a brace or the end of the file? Comments and strings are passed over. */
static bool is_closed(const Source *s, Span bracket)
{
    int depth = 0;
    for (size_t i = bracket.at; i < s->n; i++) {
        char c = s->text[i];
        depth += (c == '(' || c == '[') - (c == ')' || c == ']');
        if (depth == 0)
            return true;
        if (c == '{' || c == '}')
            return false;
        if (c == '"' || c == '#')
            for (i++; i < s->n && s->text[i] != '\n' && !(c == '"' && s->text[i] == '"');)
                i++;
    }
    return false;
}

static bool report_open_bracket(Parse *p)
{
    if (p->brackets.n == 0)
        return false;
    Span open = p->brackets.at[p->brackets.n - 1];
    if (is_closed(p->source, open))
        return false;
    DIAG_AT(p->diags, NOT_CLOSED, open, p->source->text[open.at]);
    p->brackets.n = 0;
    return true;
}

static const char *const level_name[] = {"the file", "a body", "solve", "train", "tableau"};

static void help_nearest(Parse *p, const char *nearest)
{
    if (nearest)
        diag_help(p->diags, "did you mean '%s'?", nearest);
}

/* A clause that there is not: what it is called here, the nearest one, or all. */
static void report_no_clause(Parse *p, const Level *level)
{
    const char *word = level->first.text, *block = level_name[level->kind], *clause[PARSE_WORDS];
    int n = parse_clauses(level->kind, clause);
    const char *nearest = str_nearest(word, clause, n);
    DIAG_AT(p->diags, NO_CLAUSE, level->first.span, word, block);
    if (familiar_help(p->diags, block, word))
        return;
    if (nearest)
        help_nearest(p, nearest);
    else
        diag_help(p->diags, "the clauses of '%s' are %s", block, str_list(p->arena, clause, n, " and "));
}

/* Does the line go on as an equation or a row of a tableau might, with a value that is not one? */
static bool is_value_start(const Wrong *w)
{
    return is_found(w, '[') || is_found(w, '.') || is_found(w, ':') || is_found(w, '/');
}

/* The first word of the line is neither a clause nor, as it goes on, anything else. */
static bool report_clause(Parse *p, const Wrong *w)
{
    const Level *level = parse_level(p);
    if (level->kind == LEVEL_file || level->kind == LEVEL_body)
        return false;
    if (level->first.kind == TOKEN_HEAD && is_found(w, '=') && level->n > 2) {
        DIAG_AT(p->diags, CLAUSE_NAME, level->first.span, level->first.text, level_name[level->kind]);
        return true;
    }
    if (level->first.kind != TOKEN_NAME || level->n > 2)
        return false;
    const char *clause[PARSE_WORDS];
    bool is_near = str_nearest(level->first.text, clause, parse_clauses(level->kind, clause)) != NULL;
    if (level->kind != LEVEL_train && !is_near && !familiar_text(level_name[level->kind], level->first.text) &&
        (level->kind != LEVEL_solve || is_value_start(w)))
        return false;
    report_no_clause(p, level);
    return true;
}

/* The first word of the line is a name, but no value is given to it. */
static bool report_start(Parse *p, const Wrong *w)
{
    const Level *level = parse_level(p);
    if (is_found(w, TOKEN_ELSE) && level->n == 1) {
        DIAG_PLAIN(p->diags, ELSE_LINE, w->token.span);
        return true;
    }
    bool is_second = level->n == 2 || (level->n == 1 && is_found(w, TOKEN_NL));
    if ((level->kind != LEVEL_file && level->kind != LEVEL_body) || level->first.kind != TOKEN_NAME || !is_second)
        return false;
    if (is_found(w, TOKEN_EQ) || is_found(w, '[') || is_found(w, '.'))
        return false;
    const char *word[PARSE_WORDS];
    int n = parse_keywords(level->kind == LEVEL_file, word);
    DIAG_AT(p->diags, NO_STATEMENT, level->first.span, level->first.text);
    if (!familiar_help(p->diags, "statement", level->first.text))
        help_nearest(p, str_nearest(level->first.text, word, n));
    return true;
}

static bool report_name(Parse *p, const Wrong *w)
{
    if (!can(w, TOKEN_NAME) || can(w, TOKEN_NUMBER) || can(w, TOKEN_LET) || can(w, TOKEN_HEAD) || !is_keyword(w) ||
        is_found(w, TOKEN_FROZEN))
        return false;
    const char *text = source_text(p, w->token.span);
    DIAG_AT(p->diags, KEYWORD_NAME, w->token.span, text);
    diag_help(p->diags, "choose another name, '%s_' for example", text);
    return true;
}

/* The n words of the clause: the nearest one, or all if they are few. */
static void help_words(Parse *p, const Wrong *w, const char *const *word, int n)
{
    const char *nearest = str_nearest(w->token.text, word, n);
    if (!nearest && n <= 3)
        diag_help(p->diags, "a word that can stand there is %s", str_list(p->arena, word, n, " or "));
    help_nearest(p, nearest);
}

static void help_expected(Parse *p, const Wrong *w)
{
    const Level *level = parse_level(p);
    int n = 0;
    while (level->clause && level->clause->word[n])
        n++;
    if (is_found(w, TOKEN_FROZEN))
        diag_help(p->diags, "'frozen' ends the line of a 'param' or of a 'layer'");
    else if ((is_found(w, '+') || is_found(w, '-')) && level->kind == LEVEL_solve && !can(w, TOKEN_NUMBER))
        diag_help(p->diags, "an equation has one part with 'dt' and one with 'dW', in this order");
    else if (is_found(w, '=') && level->first.kind == TOKEN_HEAD)
        diag_help(p->diags, "a clause has no '=': write  %s ...", level->first.text);
    else if (is_found(w, '=') && level->n == 2 && can(w, TOKEN_NUMBER))
        diag_help(p->diags, "there is no '=' behind this word: its value follows it");
    else if (is_found(w, '[') && level->n == 2 && can(w, '='))
        diag_help(p->diags, "a value is replaced as a whole, never a part of it");
    else if (is_found(w, '=') && can(w, TOKEN_EQ))
        diag_help(p->diags, "two values are compared with '=='");
    else if (is_found(w, TOKEN_EQ) && can(w, '='))
        diag_help(p->diags, "a value is given with one '='");
    else if (is_found(w, TOKEN_DT) && can(w, TOKEN_LET) && level->kind == LEVEL_solve)
        diag_help(p->diags, "a step of one length is written  step fixed 0.01, an equation  dz = f(z) dt");
    else if (is_found(w, '/') && level->kind == LEVEL_solve && level->n == 2)
        diag_help(p->diags, "an equation is written  dz = f(z) dt");
    else if (is_found(w, TOKEN_DT) || is_found(w, TOKEN_DW))
        diag_help(p->diags, "'dt' and 'dW' end an equation of a 'solve', as in  dz = f(z) dt + g(z) dW");
    else if (is_found(w, '{') && can(w, TOKEN_ARROW))
        diag_help(p->diags, "the type of the result stands there, as in  -> real");
    else if (can(w, ':') && !can(w, TOKEN_NUMBER) && !can(w, '*'))
        diag_help(p->diags, "a type stands after the name, as in  x : real[3]");
    else if (is_found(w, TOKEN_NAME) && can(w, '*') && familiar_help(p->diags, "expression", w->token.text))
        return;
    else if ((is_found(w, TOKEN_NAME) || is_found(w, TOKEN_NUMBER)) && n)
        help_words(p, w, level->clause->word, n);
    else if (is_keyword(w) && can(w, TOKEN_NUMBER))
        diag_help(p->diags, "this is a word of the language, never a name");
}

void syntax_report(Parse *p, const Wrong *w)
{
    if (!parse_may_report(p))
        return;
    if (report_open_bracket(p) || report_clause(p, w) || report_start(p, w) || report_name(p, w))
        return;
    DIAG_AT(p->diags, EXPECTED, w->token.span, wanted_text(p, *w), found_text(p, w));
    help_expected(p, w);
}
