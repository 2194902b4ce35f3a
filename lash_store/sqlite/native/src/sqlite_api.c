/* Where SQLite hands over its function table: this file is the SQLite extension in the Python module. */
#include "sqlite_api.h"
#include "platform.h"

#include <stddef.h>

const lash_sqlite_api *lash_api = NULL;

/* Called by SQLite inside sqlite3_load_extension. Every SQLite in the process that loaded this file would call it with
 * its own table; two libraries on one database file break POSIX locks, so the first one stays and others are refused. */
LASH_EXPORT int sqlite3_lashnative_init(sqlite3 *db, char **message, const lash_sqlite_api *table);

LASH_EXPORT int sqlite3_lashnative_init(sqlite3 *db, char **message, const lash_sqlite_api *table)
{
    (void)db;
    (void)message;
    if (lash_api != NULL && lash_api != table) {
        return SQLITE_LOCKED;
    }
    lash_api = table;
    /* Stay loaded when the connection that loaded us closes: the VFS and the statements of others point in here. */
    return SQLITE_OK_LOAD_PERMANENTLY;
}
