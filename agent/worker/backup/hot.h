/* hot - a backup of the running site, and the proof of any backup; what the steps backup, verify,
 * prove-capture and the jobs share. */
#pragma once
#include "agent/worker/backup/subject.h"

/* Makes a backup of kind "hot". remember: file of the run folder that gets its id before it is
 * begun, NULL outside a run. */
int hot_make(struct subject *subject, const char *remember, char ret_id[MANIFEST_ID_MAX],
             struct err *err) MUST_USE;
/* Reads it back, restores its database, writes the level reached beside it and into the job's
 * result. Fails when that is below least, or when anything read differs. */
int hot_prove(struct subject *subject, const char *id, Confleet__BackupLevel least,
              struct err *err) MUST_USE;
