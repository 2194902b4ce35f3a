/* The statement cache of one executor: from the text of a statement to the prepared statement. */
#ifndef LASH_STATEMENTS_H
#define LASH_STATEMENTS_H

#include "job.h"

struct lash_statement {
    /* Guarded by the GIL. */
    size_t users; /* jobs that point here */
    int orphaned; /* the cache is closed: the last user frees it */
    struct lash_statement *newer;
    struct lash_statement *older;

    char *text; /* NUL-terminated UTF-8 */
    size_t size;

    /* Used by whoever holds the writer role. */
    sqlite3_stmt *prepared;
    int parameter_count;
    int read_only;
    int counts_changes;
};

typedef struct {
    PyObject *by_text; /* dict: str -> address of the lash_statement; GIL */
    lash_statement *newest;
    lash_statement *oldest;
    size_t count;
    /* Left the cache with the GIL held; finalised by the next holder of the writer role, because finalising waits for
     * SQLite's mutex, which must not happen with the GIL held. Linked by `older`, guarded by the executor's lock. */
    lash_statement *dropped;
} lash_statements;

/* All with the GIL held. */
int lash_statements_init(lash_statements *cache);
int lash_statements_traverse(lash_statements *cache, visitproc visit, void *arg);
lash_statement *lash_statements_use(lash_statements *cache, lash_mutex *lock, PyObject *text); /* NULL: exception set */
void lash_statement_unuse(lash_statement *statement);
void lash_statements_close(lash_statements *cache); /* finalises all; nobody uses the executor any more */

/* By the holder of the writer role; no GIL needed. */
void lash_statements_finalize_dropped(lash_statements *cache, lash_mutex *lock);
int lash_statement_prepare(lash_statement *statement, sqlite3 *db, lash_job *job, int step); /* -1: outcome set */

#endif
