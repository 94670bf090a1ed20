-- The smaller schema for machines without the real 6.0.1 dump: the tables that the stand-in uses,
-- with the columns of facts 4.1, and the rows that a new site has. Owner `confluence` is replaced.
SET check_function_bodies = false;
SELECT pg_catalog.set_config('search_path', 'public', false);

CREATE TABLE confversion (confversionid bigint PRIMARY KEY, buildnumber integer NOT NULL UNIQUE,
    installdate timestamp, versiontag varchar(255), creationdate timestamp, lastmoddate timestamp);
CREATE TABLE clustersafety (clustersafetyid bigint PRIMARY KEY, safetynumber integer);
CREATE TABLE hibernate_unique_key (next_hi integer);
CREATE TABLE bandana (bandanaid bigint PRIMARY KEY, bandanacontext varchar(255) NOT NULL,
    bandanakey varchar(100) NOT NULL, bandanavalue text, UNIQUE (bandanacontext, bandanakey));
CREATE TABLE plugindata (plugindataid bigint PRIMARY KEY, pluginkey varchar(255) NOT NULL,
    filename varchar(255) NOT NULL UNIQUE, lastmoddate timestamp, data bytea);
CREATE TABLE user_mapping (user_key varchar(255) PRIMARY KEY, username varchar(255) NOT NULL UNIQUE,
    lower_username varchar(255));
CREATE TABLE content (contentid bigint PRIMARY KEY, contenttype varchar(255) NOT NULL,
    hibernateversion integer DEFAULT 0 NOT NULL, title varchar(255), lowertitle varchar(255), version integer,
    creator varchar(255) REFERENCES user_mapping, creationdate timestamp, lastmodifier varchar(255)
    REFERENCES user_mapping, lastmoddate timestamp, versioncomment text, prevver bigint REFERENCES content,
    content_status varchar(255), pageid bigint REFERENCES content, spaceid bigint, child_position integer,
    parentid bigint REFERENCES content, messageid varchar(255), pluginkey varchar(255));
CREATE TABLE spaces (spaceid bigint PRIMARY KEY, spacename varchar(255), spacekey varchar(255) NOT NULL UNIQUE,
    lowerspacekey varchar(255) NOT NULL, spacedescid bigint REFERENCES content, homepage bigint
    REFERENCES content, creator varchar(255) REFERENCES user_mapping, creationdate timestamp,
    lastmodifier varchar(255), lastmoddate timestamp, spacetype varchar(255), spacestatus varchar(255));
ALTER TABLE content ADD CONSTRAINT content_space FOREIGN KEY (spaceid) REFERENCES spaces;
CREATE TABLE bodycontent (bodycontentid bigint PRIMARY KEY, body text, contentid bigint REFERENCES content,
    bodytypeid smallint);
CREATE TABLE contentproperties (propertyid bigint PRIMARY KEY, propertyname varchar(255) NOT NULL,
    stringval varchar(255), longval bigint, dateval timestamp, contentid bigint REFERENCES content);
CREATE TABLE trackbacklinks (linkid bigint PRIMARY KEY, contenttype varchar(255) NOT NULL,
    viewcount integer NOT NULL, url varchar(255) NOT NULL, contentid bigint NOT NULL REFERENCES content);
CREATE TABLE auditrecord (auditrecordid bigint PRIMARY KEY, summary varchar(255), description varchar(255),
    category varchar(255), address varchar(255), sysamdin boolean NOT NULL, authorname varchar(255),
    searchstring varchar(4000), creationdate bigint NOT NULL);
CREATE TABLE scheduler_run_details (id bigint PRIMARY KEY, job_id varchar(255), start_time timestamp,
    duration bigint, outcome character(1), message varchar(255));
CREATE TABLE journalentry (entry_id bigint PRIMARY KEY, journal_name varchar(255), creationdate timestamp,
    type varchar(255), message varchar(2047));
CREATE TABLE decorator (decoratorid bigint PRIMARY KEY, spacekey varchar(255), decoratorname varchar(255),
    body text, lastmoddate timestamp);
CREATE TABLE cwd_directory (id bigint PRIMARY KEY, directory_name varchar(255) NOT NULL, active character(1) NOT NULL,
    impl_class varchar(255), directory_type varchar(60));
CREATE TABLE cwd_user (id bigint PRIMARY KEY, user_name varchar(255) NOT NULL, active character(1) NOT NULL,
    directory_id bigint NOT NULL REFERENCES cwd_directory, credential varchar(255));
CREATE TABLE "AO_88263F_PROPERTIES" ("ID" integer PRIMARY KEY, "PROPERTY_NAME" varchar(255),
    "PROPERTY_VALUE" varchar(255));
CREATE SEQUENCE "AO_88263F_PROPERTIES_ID_seq" OWNED BY "AO_88263F_PROPERTIES"."ID";
ALTER TABLE "AO_88263F_PROPERTIES" ALTER COLUMN "ID" SET DEFAULT nextval('"AO_88263F_PROPERTIES_ID_seq"');
CREATE SEQUENCE seq_journal_entry_id;
CREATE INDEX c_title_idx ON content (title);
CREATE INDEX c_spaceid_idx ON content (spaceid);
CREATE INDEX body_content_idx ON bodycontent (contentid);

INSERT INTO confversion VALUES (393217, 7101, '2021-03-10 07:00:56.315');
INSERT INTO clustersafety VALUES (458753, -693162794);
INSERT INTO hibernate_unique_key VALUES (25);
INSERT INTO user_mapping VALUES ('2c948084781aef2b01781af03f920000', 'admin', 'admin');
INSERT INTO bandana VALUES (1, '_GLOBAL', 'confluence.server.id', '<string>none</string>'),
    (2, '_GLOBAL', 'plugin.manager.state.Map', '<map/>'),
    (3, '_GLOBAL', 'com.atlassian.upm.log:build', '<string>7</string>');
INSERT INTO cwd_directory VALUES (98305, 'Confluence Internal Directory', 'T', 'internal', 'INTERNAL');
INSERT INTO cwd_user VALUES (229377, 'admin', 'T', 98305, '{PKCS5S2}none');
INSERT INTO journalentry VALUES (1, 'main_index', '2021-03-10 07:03:20', 'PERSISTED', 'x');
INSERT INTO auditrecord SELECT n, 'Group ' || n || ' added', NULL, 'Users and groups', '127.0.0.1', false, 'admin',
    'group added', 1615359600000 + n FROM generate_series(1, 20) n;
INSERT INTO scheduler_run_details SELECT n, 'ClusterSafetyJob', '2021-03-10 08:00:00'::timestamp + n * interval '30 s',
    n % 7, 'S', NULL FROM generate_series(1, 30) n;

DO $$ DECLARE item record; BEGIN
    FOR item IN SELECT c.oid::regclass AS name, CASE relkind WHEN 'r' THEN 'TABLE' ELSE 'SEQUENCE' END AS kind FROM pg_class c WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('r', 'S') AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'a') LOOP
        EXECUTE format('ALTER %s %s OWNER TO confluence', item.kind, item.name);
    END LOOP; END $$;
