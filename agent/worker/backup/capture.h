/* capture - the state of the site at the stop: files and database in one backup of kind "stop", and
 * both put back from it.
 *
 * Two steps share one backup: capture-files leaves ID.files with its half of the manifest,
 * capture-database gives ID its name, or leaves a frozen copy beside the files (twin.h), whose dump
 * prove-capture adds when the site serves again. The id is in the run folder before either begins,
 * so that a step that was cut off finds what it had begun. */
#pragma once
#include "agent/worker/job.h"

step_fn capture_files_act, capture_files_undo, capture_database_act, capture_database_undo;
step_probe_fn capture_files_probe, capture_database_probe;
/* While the new version serves: 0 when the capture of this run reads back whole, so that the state at
 * the stop can be put back. Changes nothing but the proof of a backup that it finds bad. */
int capture_usable(struct job *job, struct err *err) MUST_USE;
/* After the outage: the frozen copy is dumped, so that the capture is an ordinary backup. */
int capture_complete(struct job *job, struct err *err) MUST_USE;
