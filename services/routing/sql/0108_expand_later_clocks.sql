-- migrate:up
-- By when a department on the spot is to be let go; and who called the level above, to be told when
-- it does not answer (NULL: a rung did, or a version before this one).
-- Safe beside a running version: it only adds, and the old one names its columns.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE slot
ADD COLUMN release_due_at timestamptz;

ALTER TABLE upward_call
ADD COLUMN caller_unit text,
ADD COLUMN caller_role text,
ADD COLUMN caller_staff text;

-- migrate:down
-- Forward only.
