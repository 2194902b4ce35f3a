#include "statements.h"

#include <stdlib.h>
#include <string.h>

/* More distinct texts than a program writes by hand; a bound, so that generated SQL cannot grow the cache for ever. */
enum { MAX_STATEMENTS = 512 };

int lash_statements_init(lash_statements *cache)
{
    cache->by_text = PyDict_New();
    return cache->by_text == NULL ? -1 : 0;
}

int lash_statements_traverse(lash_statements *cache, visitproc visit, void *arg)
{
    Py_VISIT(cache->by_text);
    return 0;
}

static void unlink_statement(lash_statements *cache, lash_statement *statement)
{
    if (statement->newer) {
        statement->newer->older = statement->older;
    } else {
        cache->newest = statement->older;
    }
    if (statement->older) {
        statement->older->newer = statement->newer;
    } else {
        cache->oldest = statement->newer;
    }
    cache->count--;
}

static void link_newest(lash_statements *cache, lash_statement *statement)
{
    statement->newer = NULL;
    statement->older = cache->newest;
    if (cache->newest) {
        cache->newest->newer = statement;
    } else {
        cache->oldest = statement;
    }
    cache->newest = statement;
    cache->count++;
}

static void free_statement(lash_statement *statement)
{
    free(statement->text);
    free(statement);
}

static int drop_oldest_unused(lash_statements *cache, lash_mutex *lock)
{
    lash_statement *statement = cache->oldest;
    while (statement && statement->users > 0) {
        statement = statement->newer;
    }
    if (statement == NULL) {
        return 0; /* all in use: the cache is larger for a while */
    }
    PyObject *key = PyUnicode_FromStringAndSize(statement->text, (Py_ssize_t)statement->size);
    if (key == NULL || PyDict_DelItem(cache->by_text, key) != 0) {
        Py_XDECREF(key);
        return -1;
    }
    Py_DECREF(key);
    unlink_statement(cache, statement);
    lash_mutex_lock(lock);
    statement->older = cache->dropped;
    cache->dropped = statement;
    lash_mutex_unlock(lock);
    return 0;
}

static lash_statement *new_statement(PyObject *text)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (utf8 == NULL) {
        return NULL;
    }
    lash_statement *statement = calloc(1, sizeof *statement);
    char *copy = malloc((size_t)size + 1);
    if (statement == NULL || copy == NULL) {
        free(statement);
        free(copy);
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(copy, utf8, (size_t)size + 1);
    statement->text = copy;
    statement->size = (size_t)size;
    return statement;
}

static lash_statement *add_statement(lash_statements *cache, lash_mutex *lock, PyObject *text)
{
    if (cache->count >= MAX_STATEMENTS && drop_oldest_unused(cache, lock) != 0) {
        return NULL;
    }
    lash_statement *statement = new_statement(text);
    if (statement == NULL) {
        return NULL;
    }
    PyObject *address = PyLong_FromVoidPtr(statement);
    if (address == NULL || PyDict_SetItem(cache->by_text, text, address) != 0) {
        Py_XDECREF(address);
        free_statement(statement);
        return NULL;
    }
    Py_DECREF(address);
    return statement;
}

lash_statement *lash_statements_use(lash_statements *cache, lash_mutex *lock, PyObject *text)
{
    lash_statement *statement;
    if (cache->by_text == NULL) { /* closed while the steps were read, which runs the caller's code */
        return NULL;
    }
    PyObject *address = PyDict_GetItemWithError(cache->by_text, text);
    if (address != NULL) {
        statement = PyLong_AsVoidPtr(address);
        unlink_statement(cache, statement);
    } else if (PyErr_Occurred() || (statement = add_statement(cache, lock, text)) == NULL) {
        return NULL;
    }
    link_newest(cache, statement);
    statement->users++;
    return statement;
}

void lash_statement_unuse(lash_statement *statement)
{
    statement->users--;
    if (statement->users == 0 && statement->orphaned) {
        free_statement(statement);
    }
}

void lash_statements_close(lash_statements *cache)
{
    while (cache->newest) {
        lash_statement *statement = cache->newest;
        unlink_statement(cache, statement);
        statement->older = cache->dropped;
        cache->dropped = statement;
    }
    Py_CLEAR(cache->by_text);
    while (cache->dropped) {
        lash_statement *statement = cache->dropped;
        cache->dropped = statement->older;
        sqlite3_finalize(statement->prepared); /* repeats the statement's last error, which was reported then */
        statement->prepared = NULL;
        statement->orphaned = 1; /* answered jobs may outlive the executor's end: whoever keeps their tickets */
        if (statement->users == 0) {
            free_statement(statement);
        }
    }
}

void lash_statements_finalize_dropped(lash_statements *cache, lash_mutex *lock)
{
    lash_mutex_lock(lock);
    lash_statement *list = cache->dropped;
    cache->dropped = NULL;
    lash_mutex_unlock(lock);
    while (list) {
        lash_statement *statement = list;
        list = statement->older;
        sqlite3_finalize(statement->prepared);
        free_statement(statement);
    }
}

/* Past what SQLite itself passes over: white space, byte order marks, comments and semicolons. */
static const char *skip_blank(const char *text)
{
    for (;;) {
        if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3;
            continue;
        }
        if (*text == ';' || *text == ' ' || (*text >= '\t' && *text <= '\r')) {
            text++;
        } else if (text[0] == '-' && text[1] == '-') {
            text += strcspn(text, "\n");
        } else if (text[0] == '/' && text[1] == '*') {
            const char *end = strstr(text + 2, "*/");
            text = end ? end + 2 : text + strlen(text);
        } else {
            return text;
        }
    }
}

static int first_word_is(const char *text, const char *const *words)
{
    char word[16];
    size_t size = 0;
    while (size < sizeof word - 1) {
        char letter = (char)(text[size] & ~0x20); /* upper case, for letters */
        if (letter < 'A' || letter > 'Z') {
            break;
        }
        word[size++] = letter;
    }
    word[size] = '\0';
    for (; *words; words++) {
        if (strcmp(word, *words) == 0) {
            return 1;
        }
    }
    return 0;
}

int lash_statement_prepare(lash_statement *statement, sqlite3 *db, lash_job *job, int step)
{
    static const char *const transaction_control[] = {"BEGIN",     "COMMIT",  "END", "ROLLBACK",
                                                      "SAVEPOINT", "RELEASE", NULL};
    static const char *const counting[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", NULL};
    if (statement->prepared != NULL) {
        return 0;
    }
    const char *start = skip_blank(statement->text);
    const char *tail = NULL;
    if (*start == '\0') {
        lash_job_fail(job, OUTCOME_INVALID, step, "it holds no statement");
        return -1;
    }
    if (first_word_is(start, transaction_control)) {
        lash_job_fail(job, OUTCOME_INVALID, step, "it controls the transaction, which the plan does by itself");
        return -1;
    }
    int rc = sqlite3_prepare_v3(db, statement->text, (int)statement->size + 1, SQLITE_PREPARE_PERSISTENT,
                                &statement->prepared, &tail);
    if (rc != SQLITE_OK) {
        lash_job_fail(job, OUTCOME_FAILED, step, sqlite3_errmsg(db));
        job->code = rc & 0xff;
        job->extended_code = sqlite3_extended_errcode(db);
        return -1;
    }
    if (*skip_blank(tail) != '\0') {
        sqlite3_finalize(statement->prepared);
        statement->prepared = NULL;
        lash_job_fail(job, OUTCOME_INVALID, step, "it holds more than one statement; make each a step of its own");
        return -1;
    }
    statement->parameter_count = sqlite3_bind_parameter_count(statement->prepared);
    statement->read_only = sqlite3_stmt_readonly(statement->prepared);
    statement->counts_changes = !statement->read_only && first_word_is(start, counting);
    return 0;
}
