-- migrate:up
-- Whose arrival is missed, who blew the whistle, and which messages tell of what is so no more.
-- Safe beside a running version: the old one neither reads nor writes any of it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE slot
ADD COLUMN absent_since timestamptz,  -- tenant's time; NULL: no arrival is missed
ADD COLUMN blown_by text;  -- a staff id; NULL: called by a version before this one

ALTER TABLE intent
ADD COLUMN clock text,  -- of the case: the one that it tells of; NULL: of none
ADD COLUMN moot boolean NOT NULL DEFAULT false;  -- what it tells is so no more: not begun

-- migrate:down
-- Forward only.
