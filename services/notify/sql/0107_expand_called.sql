-- migrate:up
-- In which place somebody is called to a case; whoever is only told, or was called by a version
-- before this one: NULL. Safe beside a running version, which neither reads nor writes it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE intent
ADD COLUMN called_unit text,
ADD COLUMN called_role text;

-- migrate:down
-- Forward only.
