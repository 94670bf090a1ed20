-- task 8703 normal StorageFormatUpgradeTask
UPDATE bodycontent SET body = replace(body, 'ac:schema-version="1"', 'ac:schema-version="2"') WHERE body LIKE '%ac:schema-version="1"%';
UPDATE contentproperties SET stringval = 'migrated-' || stringval WHERE propertyname LIKE 'macro-count.%';
