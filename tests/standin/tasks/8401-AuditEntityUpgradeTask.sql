-- task 8401 schema AuditEntityUpgradeTask
CREATE SEQUENCE "AO_C77861_AUDIT_ENTITY_ID_seq" INCREMENT BY 1 START WITH 1;
CREATE TABLE "AO_C77861_AUDIT_ENTITY" (
    "ID" bigint DEFAULT nextval('"AO_C77861_AUDIT_ENTITY_ID_seq"') NOT NULL,
    "ACTION" varchar(255) NOT NULL,
    "CATEGORY" varchar(255),
    "ENTITY_TIMESTAMP" bigint NOT NULL
);
ALTER TABLE auditrecord ADD COLUMN migrated boolean;
UPDATE auditrecord SET migrated = false, summary = upper(summary);
ALTER TABLE scheduler_run_details ALTER COLUMN message TYPE text;
DELETE FROM journalentry WHERE type = 'PERSISTED';
SELECT setval('seq_journal_entry_id', 90000, true);
-- half
INSERT INTO "AO_C77861_AUDIT_ENTITY" ("ACTION", "CATEGORY", "ENTITY_TIMESTAMP")
    SELECT coalesce(summary, ''), category, creationdate FROM auditrecord ORDER BY auditrecordid;
UPDATE auditrecord SET migrated = true;
ALTER TABLE "AO_C77861_AUDIT_ENTITY" ADD CONSTRAINT "AO_C77861_AUDIT_ENTITY_pkey" PRIMARY KEY ("ID");
ALTER SEQUENCE seq_journal_entry_id INCREMENT BY 50;
