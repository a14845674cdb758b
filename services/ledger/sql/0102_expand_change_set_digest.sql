-- migrate:up
-- What a set said, as a keyed digest: another set under the same id must not pass for a repeat.
-- Safe beside a running version: it only adds; sets recorded before have none.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE change_set ADD COLUMN digest text;

-- migrate:down
-- Forward only.
