-- task 9110 pre IndexFormatUpgradeTask
-- files reindex
-- files attachments-sweep
UPDATE bandana SET bandanavalue = '<string>v4.1</string>' WHERE bandanakey = 'attachment.storage.layout';
