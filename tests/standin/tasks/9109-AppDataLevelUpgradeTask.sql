-- task 9109 plugin AppDataLevelUpgradeTask
-- Apps raise their own level, which never goes down again (facts 4.1, 9.2).
UPDATE bandana SET bandanavalue = '<string>' || ((regexp_replace(bandanavalue, '[^0-9]', '', 'g'))::int + 1) || '</string>' WHERE bandanakey LIKE '%:build' AND bandanavalue ~ '^<string>[0-9]+</string>$';
UPDATE "AO_88263F_PROPERTIES" SET "PROPERTY_VALUE" = "PROPERTY_VALUE" || '+9109';
