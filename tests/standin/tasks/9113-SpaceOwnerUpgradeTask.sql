-- task 9113 schema SpaceOwnerUpgradeTask
ALTER TABLE spaces ADD COLUMN spaceowner varchar(255);
UPDATE spaces SET spaceowner = creator;
-- half
CREATE INDEX s_owner_idx ON spaces (spaceowner);
ALTER TABLE content_retention RENAME COLUMN keepversions TO keep_versions;
