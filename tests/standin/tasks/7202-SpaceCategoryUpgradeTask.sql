-- task 7202 schema SpaceCategoryUpgradeTask
ALTER TABLE spaces ADD COLUMN spacecategory varchar(255);
UPDATE spaces SET spacecategory = CASE WHEN spacetype = 'personal' THEN 'people' ELSE 'team' END;
