/* judge_schema - judges of the database's inside, for the table in judge_database.c. */
#pragma once
#include "agent/worker/checks/check.h"

judge_fn judge_database_version, judge_database_collation, judge_database_extensions,
    judge_database_size, judge_transactions, judge_database_ddl, judge_database_indexes,
    judge_database_pool, judge_database_url, judge_database_driver;
