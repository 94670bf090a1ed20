-- task 7801 schema ContentStatusIndexUpgradeTask
CREATE INDEX c_status_space_idx ON content (content_status, spaceid);
CREATE TABLE content_retention (
    retentionid bigint NOT NULL PRIMARY KEY,
    spaceid bigint NOT NULL,
    keepversions integer DEFAULT 10 NOT NULL
);
INSERT INTO content_retention SELECT spaceid + 7, spaceid, 10 FROM spaces;
