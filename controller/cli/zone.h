/* zone - local time by the system's time zone database (package tzdata), and civil dates.
 *
 * A zone is asked for by its name, such as Europe/Berlin; the name is one file below
 * /usr/share/zoneinfo and nothing else. The zone of the process is changed while a question is
 * answered and put back after it, so this is for programs of one thread. A local time that a clock
 * change skips stands for the end of the gap; one that comes twice for its first coming. */
#pragma once
#include "confleet/err.h"
#include <stdint.h>

#define ZONE_TEXT_MAX 48

bool zone_exists(const char *name);
/* The zone that was probably meant, or NULL. */
const char *zone_suggest(const char *name, char out[ZONE_TEXT_MAX]);

/* Seconds of the wall clock, counted as if it were UTC: zone_local() of an instant, zone_instant()
 * the instant of such a reading. FAIL_NOT_FOUND: no such zone. */
int zone_local(const char *name, int64_t at_ms, int64_t *ret_wall_s, struct err *err) MUST_USE;
int zone_instant(const char *name, int64_t wall_s, int64_t *ret_ms, struct err *err) MUST_USE;
/* Its last coming. */
int zone_instant_last(const char *name, int64_t wall_s, int64_t *ret_ms, struct err *err) MUST_USE;
/* Many of one zone at once. */
int zone_instants(const char *name, const int64_t *wall_s, size_t count, int64_t *ret_ms,
                  struct err *err) MUST_USE;
/* "Sat 2026-11-28 02:00 CET"; "-" when the zone is not known. */
const char *zone_text(const char *name, int64_t at_ms, char out[ZONE_TEXT_MAX]);

/* Days since 1970-01-01 of a date of the Gregorian calendar; false when there is no such date. */
bool date_days(int64_t year, int month, int day, int64_t *ret_days);
int date_weekday(int64_t days); /* 0 is Monday */
