/* restore_db - the database as it was at the stop, in place of what a failed new build left.
 *
 * The failed one is set aside by a rename and dropped only after the restored one was compared,
 * table by table and property by property, so at no instant is there neither. Where it stands after
 * a crash is told by which databases exist and by a file of the run folder, written before the
 * rename and after the comparison. Ends nobody's session but our own, save in a copy. */
#pragma once
#include "agent/worker/backup/twin.h"

/* copy_oid: of the copy that the capture was dumped from and that may go; zero: none. */
int restore_database(struct subject *subject, const struct manifest *manifest, uint64_t copy_oid,
                     struct err *err) MUST_USE;
/* The same from the frozen copy: two renames in one transaction. What failed stays until the site
 * serves again (twin_tidy()). A copy that was opened is compared with dumped first (NULL: it was not
 * dumped). ret_done false: there is no copy that could be used, and the log says why. */
int restore_copy(struct subject *subject, const struct twin_note *note,
                 const struct manifest *dumped, bool *ret_done, struct err *err) MUST_USE;
/* Has this run already put the database of that capture back? */
bool restore_is_done(const struct subject *subject, const char *id);
