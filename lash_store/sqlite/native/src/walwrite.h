/* Fewer writes for one commit: a VFS under which the frames of a commit reach the WAL file in one piece. */
#ifndef LASH_WALWRITE_H
#define LASH_WALWRITE_H

#include "sqlite_api.h"

/* Registers the VFS over the default one and returns its name; NULL where the default VFS is not the system's own (then
 * databases are opened the plain way) or when SQLite refuses. Repeated calls return the same name. */
const char *lash_walwrite_register(void);
/* The WAL file of `db` if it was opened through that VFS, else NULL. May only be called in a write transaction. */
sqlite3_file *lash_walwrite_find(sqlite3 *db);
/* Around the step of COMMIT. `finish` writes what is left if the transaction is still open, and forgets it if not. */
void lash_walwrite_begin(sqlite3_file *wal, int page_size);
int lash_walwrite_finish(sqlite3_file *wal, int in_transaction);

#endif
