-- task 7901 normal SettingsDefaultsUpgradeTask
INSERT INTO bandana (bandanaid, bandanacontext, bandanakey, bandanavalue)
    VALUES (790101, '_GLOBAL', 'confluence.defaults.level', '<int>6</int>');
