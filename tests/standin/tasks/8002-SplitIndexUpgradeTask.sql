-- task 8002 pre SplitIndexUpgradeTask
-- Splits the one index into a content and a change part (facts 1.5, 3.3).
-- files split-index
INSERT INTO journalentry (entry_id, journal_name, creationdate, type, message)
    VALUES (nextval('seq_journal_entry_id'), 'main_index', '2025-12-16 12:00:00', 'REBUILD', 'split');
