-- migrate:up
-- In which hours a message is not begun; none: NULL. Safe beside a running version, which sends at
-- any hour.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE intent
ADD COLUMN quiet_from time,
ADD COLUMN quiet_to time;

-- migrate:down
-- Forward only.
