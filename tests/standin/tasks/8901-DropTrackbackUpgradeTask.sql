-- task 8901 normal DropTrackbackUpgradeTask
DROP TABLE trackbacklinks;
SELECT lo_put(oid, 0, 'rewritten'::bytea) FROM pg_largeobject_metadata WHERE lomowner = (SELECT oid FROM pg_roles WHERE rolname = current_user);
