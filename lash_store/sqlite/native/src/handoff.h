/* Who writes next: the busy handler, and the hand-off of the write lock between processes. */
#ifndef LASH_HANDOFF_H
#define LASH_HANDOFF_H

#include "sqlite_api.h"

#include <stdint.h>

typedef struct {
    /* Words in the WAL index that all openers of the file share; NULL where there are none. */
    volatile uint32_t *turn;    /* counts hand-offs; the process on deck sleeps on it */
    volatile uint32_t *bench;   /* flags, and a count of the calls from the bench; the others sleep on it */
    volatile uint32_t *commits; /* SQLite's own change counter, only ever read */
    volatile uint32_t *last_frame;
    volatile uint32_t *backfilled;

    uint64_t budget_ns;   /* how long one wait may take */
    uint64_t random;      /* state of the jitter */
    uint64_t wait_began;     /* of the current wait, 0 when there is none */
    uint64_t deadline;       /* of the current wait */
    uint64_t first_deadline; /* of the next wait, which began in the queue; 0: the whole budget from its beginning */
    int had_to_wait;
    int on_deck;
    uint32_t bench_seen; /* the bench's word when we said that we come */
    uint32_t turn_seen;
    uint64_t disorder_until; /* the lock is held by somebody who keeps no order: nobody will call us before then */
    uint64_t possession_began; /* since when this process has had the lock without handing it off */
    int possession_count; /* transactions since then; below zero: so many on top */
    int turn_open;        /* it was not handed off yet */
    uint64_t gave_way_at;      /* when it last handed the lock to a waiter, 0: not */

    /* Counters; written by the holder of the writer role, read by anyone. */
    int64_t waits;
    int64_t waited_ns;
    int64_t last_wait_ns;
    int64_t handoffs;
} lash_handoff;

/* Installs the busy handler on `db`, and finds the shared words if the open file has a WAL index in shared memory. */
void lash_handoff_init(lash_handoff *handoff, sqlite3 *db, uint64_t budget_ns);
void lash_handoff_forget(lash_handoff *handoff); /* the words may be unmapped from now on */
void lash_handoff_refresh(lash_handoff *handoff, sqlite3 *db, int has_log); /* after Python used `db` */
void lash_handoff_detach(lash_handoff *handoff, sqlite3 *db);
/* Around BEGIN IMMEDIATE. `deadline_ns`: of the first wait in between; 0: the whole budget, as for any further one. */
void lash_handoff_before_begin(lash_handoff *handoff, uint64_t deadline_ns);
void lash_handoff_after_begin(lash_handoff *handoff);
/* After COMMIT or ROLLBACK. `idle`: nothing more is known to come from this connection. */
void lash_handoff_released(lash_handoff *handoff, int idle);
/* Frames in the WAL, and how many of them no checkpoint has copied back yet; 0 when not known. */
uint32_t lash_handoff_frames(const lash_handoff *handoff);
uint32_t lash_handoff_frames_pending(const lash_handoff *handoff);

#endif
