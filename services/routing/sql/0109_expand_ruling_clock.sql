-- migrate:up
-- By when the arbiter is to rule on a department's refusal. NULL: no clock runs for it, as for every
-- refusal before this version.
-- Safe beside a running version: it only adds, and the old one names its columns.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE slot
ADD COLUMN ruling_due_at timestamptz;

-- migrate:down
-- Forward only.
