-- migrate:up
-- A point near a grid's border: {"metres", "near"}; NULL where there is none to look at.
-- Safe beside a running version: it only adds, and the old one names its columns.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE cases
ADD COLUMN border jsonb;

-- migrate:down
-- Forward only.
