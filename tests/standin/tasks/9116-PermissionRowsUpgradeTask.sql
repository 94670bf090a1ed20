-- task 9116 normal PermissionRowsUpgradeTask
UPDATE content_retention SET keep_versions = keep_versions + 5;
INSERT INTO bandana (bandanaid, bandanacontext, bandanakey, bandanavalue)
    VALUES (911601, '_GLOBAL', 'confluence.defaults.level', '<int>9</int>')
    ON CONFLICT (bandanacontext, bandanakey) DO UPDATE SET bandanavalue = '<int>9</int>';
