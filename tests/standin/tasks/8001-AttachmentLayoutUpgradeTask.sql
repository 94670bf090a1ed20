-- task 8001 pre AttachmentLayoutUpgradeTask
-- Moves attachments/ver003 to the layout v4 (facts 1.5); old binaries cannot find them afterwards.
-- files attachments-v4
INSERT INTO bandana (bandanaid, bandanacontext, bandanakey, bandanavalue)
    VALUES (800101, '_GLOBAL', 'attachment.storage.layout', '<string>v4</string>');
