-- migrate:up
-- Which due times rest on a year without a notice. Safe beside a running version: it only adds,
-- and the old one neither reads nor names what is new.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE board_case ADD COLUMN provisional jsonb NOT NULL DEFAULT '[]';  -- [deadline, …]
ALTER TABLE board_slot ADD COLUMN provisional boolean NOT NULL DEFAULT false;

-- migrate:down
-- Forward only.
