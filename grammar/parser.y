/* parser.y: the syntax of a .nde file.
 *
 * Owns: the grammar of LANGUAGE.md.  Needs: yylex() of lexer.l.  Gives: parse(), a tree that mirrors the source.
 * Elsewhere: line ends, clause words, brackets (lexer.l); messages (syntax.c); what names mean (the checker).
 *
 * A statement that cannot be parsed is given up to its end, reported once, and stands in the tree as ERROR. What is
 * understood but wrong (`a + b dt`, a comparison that goes on) is a rule of its own, so that its message is exact. */
%code requires {
#include "ast.h"

enum { PARSE_BRACKETS = 200 }; /* brackets in brackets */

typedef LIST(Node *) Nodes;

typedef struct Token {
    int kind;
    Span span;
    const char *text; /* of names, numbers and strings */
    bool is_first;    /* in its line */
} Token;

typedef enum LevelKind { LEVEL_file, LEVEL_body, LEVEL_solve, LEVEL_train, LEVEL_tableau } LevelKind;

typedef struct Clause {
    LevelKind level;
    int values; /* beside words, at most */
    const char *head, *word[13];
} Clause;

/* What is known between a pair of braces about the statement that is being read. */
typedef struct Level {
    LevelKind kind;
    Span open;              /* the brace */
    int n;                  /* tokens of the statement so far */
    Token first;
    const Clause *clause;   /* if it is one */
    bool has_body, has_brace;
    bool is_bad;            /* it has been reported */
} Level;

typedef struct Parse {
    Arena *arena;
    const Source *source;
    Diags *diags;
    Node *tree;
    /* The rest is the scanner's. */
    void *flex;
    uint32_t at;            /* how far flex has read */
    Token token, back, last, given;
    bool has_back, line_is_new;
    LIST(Token) queue;
    int next;               /* in the queue */
    LIST(Level) levels;
    LIST(Span) brackets;    /* open ones */
    int forced;             /* blocks ended for the user */
    size_t brace;           /* the last one that was found below the line of its head */
} Parse;

void parse_open(Parse *p, int start);
void parse_close(Parse *p);
Level *parse_level(Parse *p);
/* True once for each statement. */
bool parse_may_report(Parse *p);
/* The words that start a statement, and the clauses of a block; the array has room for PARSE_WORDS. */
enum { PARSE_WORDS = 32 };
int parse_keywords(bool is_outer, const char **text);
int parse_clauses(LevelKind level, const char **text);
const char *parse_token_name(int token);
/* How many characters of `set` stand from `at` on. The source need not end with NUL. */
uint32_t parse_run(const Source *s, size_t at, const char *set);

/* A token where it cannot stand, and for each kind of token whether it could stand there. */
enum { PARSE_TOKENS = 320 };
typedef struct Wrong {
    Token token;
    bool can[PARSE_TOKENS];
} Wrong;

/* syntax.c: the messages. Each is the only one of its statement. */
void syntax_report(Parse *p, const Wrong *w);
void syntax_place(Parse *p, const Node *node);
void syntax_sum(Parse *p, Span sum, const char *before);
void syntax_no_dt(Parse *p, Span flow);
void syntax_twice(Parse *p, Span second);
void syntax_chain(Parse *p, Span chain);
/* A clause behind others of its block, a named argument behind others of its call: is it given for the second time? */
void syntax_next(Parse *p, const Nodes *before, const Node *node);
/* Is a word of the clause given twice, or one value too many? */
void syntax_clause(Parse *p, const Node *clause);
}

%code provides {
int yylex(YYSTYPE *value, Span *span, Parse *p);
}

%code {
#include <string.h>

#define YYMAXDEPTH 10000
#define YYLLOC_DEFAULT(whole, right, n)                                                                                \
    ((whole) = (n) ? span_join(YYRHSLOC(right, 1), YYRHSLOC(right, n)) : span_after(YYRHSLOC(right, 0)))

static void yyerror(const Span *span, Parse *p, const char *message);
static Span span_after(Span s);
static Node *make(Parse *p, NodeKind kind, Span span, const char *text, int n, Node **kid);
static Node *named(Node *node, Span name);
static Node *applied(Parse *p, NodeKind kind, Span span, Node *base, const Nodes *rest);
static Node *with_kids(Parse *p, NodeKind kind, Span span, const char *text, const Nodes *kids);
static Nodes *list_of(Parse *p, Node *first);
static Nodes *add(Parse *p, Nodes *list, Node *node);
static Nodes *add_statement(Parse *p, Nodes *list, Node *node);
static Node *negative(Parse *p, Node *noise);
static Node *noise(Parse *p, Span span, const char *kind, Node *amplitude);

#define KIDS(...) ((Node *[]){__VA_ARGS__})
#define MAKE(kind, span, text, ...)                                                                                    \
    make(p, NODE_##kind, (span), (text), (int)(sizeof KIDS(__VA_ARGS__) / sizeof(Node *)), KIDS(__VA_ARGS__))
#define LEAF(kind, span, text) make(p, NODE_##kind, (span), (text), 0, NULL)
#define BINARY(span, op, ...) MAKE(BINARY, span, op, __VA_ARGS__)
#define LIST_NODE(kind, span, text, list) with_kids(p, NODE_##kind, (span), (text), (list))
}

%define api.pure full
%define api.location.type {Span}
%define api.token.prefix {TOKEN_}
%define parse.error custom
%define parse.lac full
%locations
%param {Parse *p}
%initial-action { @$ = (Span){.source = p->source}; }
%expect 0

%union {
    const char *text;
    Node *node;
    Nodes *list;
    bool yes;
}

%token START_FILE START_EXPR START_CLAUSE
%token NL "the end of the line"
%token <text> NAME "a name" NUMBER "a number" STRING "a string" HEAD "a clause" WORD "a word of the clause"
%token CONST "'const'" DATA "'data'" PARAM "'param'" SAMPLE "'sample'" FN "'fn'" LAYER "'layer'" LET "'let'"
%token SOLVE "'solve'" TABLEAU "'tableau'" QUANTITY "'quantity'" LOSS "'loss'" METRIC "'metric'" OUTPUT "'output'"
%token TRAIN "'train'" RETURN "'return'" FOR "'for'" IN "'in'" IF "'if'" ELSE "'else'" FROZEN "'frozen'"
%token PRECISION "'precision'" INCLUDE "'include'" DT "'dt'" DW "'dW'" O "'o'"
%token ARROW "'->'" RANGE "'..'" LE "'<='" GE "'>='" EQ "'=='" NE "'!='"

%type <node> statement branch block head arg type expr chain sum product unary postfix primary given sub
%type <node> equation flow drift noise clause group value word row
%type <list> list equations clauses rows groups group_list args sums exprs givens subs
%type <text> relation wiener
%type <yes> frozen

%%

start
    : START_FILE list               { p->tree = LIST_NODE(FILE, @2, NULL, $2); }
    | START_EXPR expr NL            { p->tree = $2; }
    | START_CLAUSE clause NL        { p->tree = $2; }
    ;

list
    : %empty                        { $$ = list_of(p, NULL); }
    | list statement NL             { $$ = add_statement(p, $1, $2); }
    | list error NL                 { $$ = add(p, $1, LEAF(ERROR, @2, NULL)); yyerrok; }
    ;

statement
    : INCLUDE STRING                { $$ = named(LEAF(INCLUDE, @$, $2), @2); }
    | PRECISION NAME                { $$ = named(LEAF(PRECISION, @$, $2), @2); }
    | CONST NAME '=' expr           { $$ = named(MAKE(CONST, @$, $2, $4), @2); }
    | DATA NAME ':' type            { $$ = named(MAKE(DATA, @$, $2, $4), @2); }
    | SAMPLE NAME ':' type '~' expr { $$ = named(MAKE(SAMPLE, @$, $2, $4, $6), @2); }
    | PARAM NAME ':' type '=' expr frozen
                                    { $$ = named(MAKE(PARAM, @$, $2, $4, $6), @2); $$->is_frozen = $7; }
    | FN NAME head ARROW type block { $$ = named(MAKE(FN, @$, $2, $3, $5, $6), @2); }
    | FN error block                { $$ = LEAF(ERROR, @$, NULL); }
    | FN error                      { $$ = LEAF(ERROR, @$, NULL); }
    | LAYER NAME head head ARROW type block
                                    { $$ = named(MAKE(LAYER, @$, $2, $3, $4, $6, $7), @2); }
    | LAYER NAME '=' expr frozen    { $$ = named(MAKE(INSTANCE, @$, $2, NULL, $4), @2); $$->is_frozen = $5; }
    | LAYER NAME '[' expr ']' '=' expr frozen
                                    { $$ = named(MAKE(INSTANCE, @$, $2, $4, $7), @2); $$->is_frozen = $8; }
    | LAYER error block             { $$ = LEAF(ERROR, @$, NULL); }
    | LAYER error                   { $$ = LEAF(ERROR, @$, NULL); }
    | LET NAME '=' expr             { $$ = named(MAKE(LET, @$, $2, $4), @2); }
    | NAME '=' expr                 { $$ = named(MAKE(ASSIGN, @$, $1, $3), @1); }
    | QUANTITY NAME '=' expr        { $$ = named(MAKE(QUANTITY, @$, $2, $4), @2); }
    | QUANTITY NAME head '=' expr   { $$ = named(MAKE(QUANTITY, @$, $2, $5, $3), @2); }
    | LOSS expr                     { $$ = MAKE(LOSS, @$, NULL, $2); }
    | METRIC expr                   { $$ = MAKE(METRIC, @$, NULL, $2); }
    | OUTPUT exprs                  { $$ = LIST_NODE(OUTPUT, @$, NULL, $2); }
    | RETURN expr                   { $$ = MAKE(RETURN, @$, NULL, $2); }
    | FOR NAME IN sum RANGE sum block
                                    { $$ = named(MAKE(FOR, @$, $2, $4, $6, $7), @2); }
    | FOR error block               { $$ = LEAF(ERROR, @$, NULL); }
    | FOR error                     { $$ = LEAF(ERROR, @$, NULL); }
    | branch
    | SOLVE NAME open equations '}' { $$ = named(LIST_NODE(SOLVE, @$, $2, $4), @2); }
    | SOLVE error open equations '}'
                                    { $$ = LEAF(ERROR, @$, NULL); }
    | SOLVE error                   { $$ = LEAF(ERROR, @$, NULL); }
    | TABLEAU NAME open rows '}'    { $$ = named(LIST_NODE(TABLEAU, @$, $2, $4), @2); }
    | TABLEAU error open rows '}'   { $$ = LEAF(ERROR, @$, NULL); }
    | TABLEAU error                 { $$ = LEAF(ERROR, @$, NULL); }
    | TRAIN open clauses '}'        { $$ = LIST_NODE(TRAIN, @$, NULL, $3); }
    | TRAIN error open clauses '}'  { $$ = LEAF(ERROR, @$, NULL); }
    | TRAIN error                   { $$ = LEAF(ERROR, @$, NULL); }
    ;

/* Whatever was wrong in the head of a block has been reported; the first line in it may be wrong on its own. */
open
    : '{'                           { yyerrok; }
    ;

block
    : open list '}'                 { $$ = LIST_NODE(BLOCK, @$, NULL, $2); }
    ;

branch
    : IF expr block                 { $$ = MAKE(IF, @$, NULL, $2, $3, NULL); }
    | IF expr block ELSE block      { $$ = MAKE(IF, @$, NULL, $2, $3, $5); }
    | IF expr block ELSE branch     { $$ = MAKE(IF, @$, NULL, $2, $3, $5); }
    | IF error block                { $$ = LEAF(ERROR, @$, NULL); }
    | IF error block ELSE block     { $$ = LEAF(ERROR, @$, NULL); }
    | IF error block ELSE branch    { $$ = LEAF(ERROR, @$, NULL); }
    | IF error                      { $$ = LEAF(ERROR, @$, NULL); }
    ;

frozen
    : %empty                        { $$ = false; }
    | FROZEN                        { $$ = true; }
    ;

head
    : '(' ')'                       { $$ = LEAF(HEAD, @$, NULL); }
    | '(' args ')'                  { $$ = LIST_NODE(HEAD, @$, NULL, $2); }
    ;

args
    : arg                           { $$ = list_of(p, $1); }
    | args ',' arg                  { $$ = add(p, $1, $3); }
    ;

arg
    : NAME ':' type                 { $$ = named(MAKE(ARG, @$, $1, $3, NULL), @1); }
    | NAME ':' type '=' expr        { $$ = named(MAKE(ARG, @$, $1, $3, $5), @1); }
    ;

type
    : FN                            { $$ = named(LEAF(TYPE, @$, "fn"), @1); }
    | NAME                          { $$ = named(LEAF(TYPE, @$, $1), @1); }
    | NAME '[' sums ']'             { $$ = named(LIST_NODE(TYPE, @$, $1, $3), @1); }
    ;

sums
    : sum                           { $$ = list_of(p, $1); }
    | sums ',' sum                  { $$ = add(p, $1, $3); }
    ;

/* ---- what stands in solve, tableau and train ---- */

equations
    : %empty                        { $$ = list_of(p, NULL); }
    | equations equation NL         { syntax_next(p, $1, $2); $$ = add_statement(p, $1, $2); }
    | equations error NL            { $$ = add(p, $1, LEAF(ERROR, @2, NULL)); yyerrok; }
    ;

equation
    : NAME '=' flow                 { $$ = named($3, @1); $$->text = $1; $$->span = @$; }
    | NAME '(' sum ')' '=' expr     { $$ = named(MAKE(START, @$, $1, $3, $6), @1); }
    | LET NAME '=' expr             { $$ = named(MAKE(LET, @$, $2, $4), @2); }
    | clause
    ;

flow
    : drift                         { $$ = MAKE(EQUATION, @$, NULL, $1, NULL); }
    | drift '+' noise               { $$ = MAKE(EQUATION, @$, NULL, $1, $3); }
    | drift '-' noise               { $$ = MAKE(EQUATION, @$, NULL, $1, negative(p, $3)); }
    | noise                         { $$ = MAKE(EQUATION, @$, NULL, NULL, $1); }
    | drift '+' drift               { $$ = LEAF(ERROR, @$, NULL); syntax_twice(p, @3); }
    | drift '-' drift               { $$ = LEAF(ERROR, @$, NULL); syntax_twice(p, @3); }
    | sum                           { $$ = LEAF(ERROR, @$, NULL); syntax_no_dt(p, @1); }
    ;

drift
    : product DT
    | sum '+' product DT            { $$ = BINARY(@$, "+", $1, $3); syntax_sum(p, span_join(@1, @3), "dt"); }
    | sum '-' product DT            { $$ = BINARY(@$, "-", $1, $3); syntax_sum(p, span_join(@1, @3), "dt"); }
    ;

noise
    : product wiener                { $$ = noise(p, @$, $2, $1); }
    | sum '+' product wiener        { $$ = noise(p, @$, $4, $1); syntax_sum(p, span_join(@1, @3), "dW"); }
    | sum '-' product wiener        { $$ = noise(p, @$, $4, $1); syntax_sum(p, span_join(@1, @3), "dW"); }
    ;

wiener
    : DW                            { $$ = "Ito"; }
    | '@' DW                        { $$ = "Ito @"; }
    | O DW                          { $$ = "Stratonovich"; }
    | O '@' DW                      { $$ = "Stratonovich @"; }
    ;

rows
    : %empty                        { $$ = list_of(p, NULL); }
    | rows row NL                   { $$ = add(p, $1, $2); }
    | rows error NL                 { $$ = add(p, $1, LEAF(ERROR, @2, NULL)); yyerrok; }
    ;

row
    : NAME '=' exprs                { $$ = named(LIST_NODE(ROW, @$, $1, $3), @1); }
    | clause
    ;

clauses
    : %empty                        { $$ = list_of(p, NULL); }
    | clauses clause NL             { syntax_next(p, $1, $2); $$ = add(p, $1, $2); }
    | clauses error NL              { $$ = add(p, $1, LEAF(ERROR, @2, NULL)); yyerrok; }
    ;

clause
    : HEAD                          { $$ = named(LEAF(CLAUSE, @$, $1), @1); }
    | HEAD groups                   { $$ = named(LIST_NODE(CLAUSE, @$, $1, $2), @1); syntax_clause(p, $$); }
    ;

groups
    : group                         { $$ = list_of(p, $1); }
    | groups ',' group              { $$ = add(p, $1, $3); }
    ;

group
    : group_list                    { $$ = LIST_NODE(GROUP, @$, NULL, $1); }
    ;

group_list
    : value                         { $$ = list_of(p, $1); }
    | word                          { $$ = list_of(p, $1); }
    | group_list word               { $$ = add(p, $1, $2); }
    ;

word
    : WORD                          { $$ = named(LEAF(WORD, @$, $1), @1); }
    | WORD value                    { $$ = named(MAKE(WORD, @$, $1, $2), @1); }
    ;

value
    : expr
    | sum RANGE sum                 { $$ = MAKE(SPAN, @$, NULL, $1, $3); }
    ;

/* ---- expressions ---- */

exprs
    : expr                          { $$ = list_of(p, $1); }
    | exprs ',' expr                { $$ = add(p, $1, $3); }
    ;

expr
    : sum
    | sum relation sum              { $$ = BINARY(@$, $2, $1, $3); }
    | chain                         { $$ = $1; syntax_chain(p, @1); }
    ;

chain
    : sum relation sum relation sum { $$ = LEAF(ERROR, @$, NULL); }
    | chain relation sum            { $$ = LEAF(ERROR, @$, NULL); }
    ;

relation
    : '<'                           { $$ = "<"; }
    | '>'                           { $$ = ">"; }
    | LE                            { $$ = "<="; }
    | GE                            { $$ = ">="; }
    | EQ                            { $$ = "=="; }
    | NE                            { $$ = "!="; }
    ;

sum
    : product
    | sum '+' product               { $$ = BINARY(@$, "+", $1, $3); }
    | sum '-' product               { $$ = BINARY(@$, "-", $1, $3); }
    ;

product
    : unary
    | product '*' unary             { $$ = BINARY(@$, "*", $1, $3); }
    | product '/' unary             { $$ = BINARY(@$, "/", $1, $3); }
    | product '@' unary             { $$ = BINARY(@$, "@", $1, $3); }
    ;

unary
    : '-' unary                     { $$ = MAKE(NEG, @$, NULL, $2); }
    | postfix
    | postfix '^' unary             { $$ = BINARY(@$, "^", $1, $3); }
    ;

postfix
    : primary
    | postfix '(' ')'               { $$ = MAKE(CALL, @$, NULL, $1); }
    | postfix '(' givens ')'        { $$ = applied(p, NODE_CALL, @$, $1, $3); }
    | postfix '[' subs ']'          { $$ = applied(p, NODE_INDEX, @$, $1, $3); }
    | postfix '.' NAME              { $$ = named(MAKE(MEMBER, @$, $3, $1), @3); }
    ;

givens
    : given                         { $$ = list_of(p, $1); }
    | givens ',' given              { syntax_next(p, $1, $3); $$ = add(p, $1, $3); }
    ;

given
    : expr
    | NAME '=' expr                 { $$ = named(MAKE(GIVEN, @$, $1, $3), @1); }
    ;

subs
    : sub                           { $$ = list_of(p, $1); }
    | subs ',' sub                  { $$ = add(p, $1, $3); }
    ;

sub
    : sum
    | ':'                           { $$ = MAKE(RANGE, @$, NULL, NULL, NULL); }
    | sum ':'                       { $$ = MAKE(RANGE, @$, NULL, $1, NULL); }
    | ':' sum                       { $$ = MAKE(RANGE, @$, NULL, NULL, $2); }
    | sum ':' sum                   { $$ = MAKE(RANGE, @$, NULL, $1, $3); }
    ;

primary
    : NAME                          { $$ = named(LEAF(NAME, @$, $1), @1); }
    | NUMBER                        { $$ = LEAF(NUMBER, @$, $1); }
    | STRING                        { $$ = LEAF(STRING, @$, $1); }
    | '(' expr ')'                  { $$ = $2; $$->span = @$; }
    | '[' exprs ']'                 { $$ = LIST_NODE(ARRAY, @$, NULL, $2); }
    ;

%%

/* ---- building the tree ---- */

static Span span_after(Span s)
{
    return (Span){.source = s.source, .at = s.at + s.n};
}

static Node *make(Parse *p, NodeKind kind, Span span, const char *text, int n, Node **kid)
{
    Node *node = ast_new(p->arena, kind, span, text, n, kid);
    if (node->depth <= AST_DEPTH)
        return node;
    if (parse_may_report(p))
        DIAG_AT(p->diags, TOO_DEEP, span, AST_DEPTH);
    return ast_new(p->arena, NODE_ERROR, span, NULL, 0, NULL);
}

static Node *named(Node *node, Span name)
{
    node->name = name;
    return node;
}

static Node *with_kids(Parse *p, NodeKind kind, Span span, const char *text, const Nodes *kids)
{
    return make(p, kind, span, text, kids->n, kids->at);
}

static Node *applied(Parse *p, NodeKind kind, Span span, Node *base, const Nodes *rest)
{
    Nodes kids = {0};
    list_push(p->arena, kids, base);
    for (int i = 0; i < rest->n; i++)
        list_push(p->arena, kids, rest->at[i]);
    return with_kids(p, kind, span, NULL, &kids);
}

/* An empty list if first is NULL. */
static Nodes *list_of(Parse *p, Node *first)
{
    Nodes *list = ARENA_NEW(p->arena, Nodes, 1);
    return first ? add(p, list, first) : list;
}

static Nodes *add(Parse *p, Nodes *list, Node *node)
{
    list_push(p->arena, *list, node);
    return list;
}

static Node *noise(Parse *p, Span span, const char *kind, Node *amplitude)
{
    return MAKE(NOISE, span, kind, amplitude);
}

/* drift - g dW is drift + (-g) dW. */
static Node *negative(Parse *p, Node *term)
{
    term->kid[0] = MAKE(NEG, term->kid[0]->span, NULL, term->kid[0]);
    return MAKE(NOISE, term->span, term->text, term->kid[0]);
}

uint32_t parse_run(const Source *s, size_t at, const char *set)
{
    uint32_t n = 0;
    while (at + n < s->n && s->text[at + n] && strchr(set, s->text[at + n]))
        n++;
    return n;
}

/* The comment lines directly above, without '#' and one blank; NULL if there are none. */
static const char *comment_above(Parse *p, Span span)
{
    const char *text = p->source->text;
    const char *doc = NULL;
    size_t start = span.at;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    if (parse_run(p->source, start, " \t") < span.at - start)
        return NULL;
    while (start > 0) {
        size_t end = start - 1;
        for (start = end; start > 0 && text[start - 1] != '\n';)
            start--;
        size_t sign = start + parse_run(p->source, start, " \t");
        if (text[sign] != '#')
            break;
        sign += text[sign + 1] == ' ' ? 2 : 1; /* a line end stands behind the comment */
        if (end > sign && text[end - 1] == '\r')
            end--;
        const char *line = str_copy(p->arena, text + sign, end > sign ? end - sign : 0);
        doc = doc ? str_format(p->arena, "%s\n%s", line, doc) : line;
    }
    return doc;
}

static Nodes *add_statement(Parse *p, Nodes *list, Node *node)
{
    syntax_place(p, node);
    node->doc = comment_above(p, node->span);
    return add(p, list, node);
}

/* ---- what is not understood ---- */

const char *parse_token_name(int token)
{
    return yysymbol_name(YYTRANSLATE(token));
}

_Static_assert((int)TOKEN_NE < (int)PARSE_TOKENS, "a kind of token is an index of Wrong.can");

static int yyreport_syntax_error(const yypcontext_t *context, Parse *p)
{
    bool is_expected[YYNTOKENS] = {false};
    yysymbol_kind_t expected[YYNTOKENS];
    int n = yypcontext_expected_tokens(context, expected, YYNTOKENS);
    for (int i = 0; i < n; i++)
        is_expected[expected[i]] = true;
    Wrong w = {.token = p->given};
    for (int token = 1; token < PARSE_TOKENS; token++)
        w.can[token] = YYTRANSLATE(token) != YYSYMBOL_YYUNDEF && is_expected[YYTRANSLATE(token)];
    syntax_report(p, &w);
    return 0;
}

/* Called by the parser only when its stack is full. */
static void yyerror(const Span *span, Parse *p, const char *message)
{
    (void)message;
    if (parse_may_report(p))
        DIAG_AT(p->diags, TOO_DEEP, *span, AST_DEPTH);
}

static Node *run(Arena *a, const Source *source, Diags *d, int start)
{
    Parse p = {.arena = a, .source = source, .diags = d};
    parse_open(&p, start);
    yyparse(&p);
    parse_close(&p);
    NodeKind kind = start == TOKEN_START_FILE ? NODE_FILE : NODE_ERROR;
    return p.tree ? p.tree : ast_new(a, kind, (Span){.source = source, .n = (uint32_t)source->n}, NULL, 0, NULL);
}

Node *parse(Arena *a, const Source *source, Diags *d)
{
    return run(a, source, d, TOKEN_START_FILE);
}

Node *parse_expr(Arena *a, const Source *source, Diags *d)
{
    return run(a, source, d, TOKEN_START_EXPR);
}

Node *parse_clause(Arena *a, const Source *source, Diags *d)
{
    return run(a, source, d, TOKEN_START_CLAUSE);
}
