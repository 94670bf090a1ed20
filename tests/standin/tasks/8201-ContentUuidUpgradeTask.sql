-- task 8201 schema ContentUuidUpgradeTask
ALTER TABLE content ADD COLUMN content_uuid varchar(36);
UPDATE content SET content_uuid = md5(contentid::text || coalesce(title, ''));
CREATE UNIQUE INDEX c_uuid_idx ON content (content_uuid);
ALTER TABLE content ALTER COLUMN content_uuid SET NOT NULL;
