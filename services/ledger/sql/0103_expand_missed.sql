-- migrate:up
-- Which deadlines a case has missed, so that a miss can be withdrawn. Safe beside a running
-- version: it only adds. A case that was late before stays late: what it missed was not kept.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE case_now ADD COLUMN missed jsonb NOT NULL DEFAULT '[]';  -- [deadline, …]

-- migrate:down
-- Forward only.
