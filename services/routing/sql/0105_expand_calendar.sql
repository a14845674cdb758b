-- migrate:up
-- By which table of official days a clock on duty time was reckoned, so that a newer table sets it
-- anew. Safe beside a running version: the old one neither reads nor names what is new; what it
-- keeps unarmed meanwhile is armed all the same, armed clocks of its making stay as they are.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

-- The newest table that was taken in, and what has come of it so far.
CREATE TABLE calendar_taken (
    tenant_id text PRIMARY KEY,
    version   integer NOT NULL,
    taken_at  timestamptz NOT NULL,  -- real time
    armed     bigint NOT NULL DEFAULT 0,  -- clocks that could not be told before
    moved     bigint NOT NULL DEFAULT 0,
    withdrawn bigint NOT NULL DEFAULT 0  -- misses
);
INSERT INTO calendar_taken (tenant_id, version, taken_at)
SELECT tenant_id, (body ->> 'version')::integer, clock_timestamp()
FROM registry_copy
WHERE kind = 'calendar' AND record_id = 'cn';

-- NULL: it counts all time. 0: no table was known.
ALTER TABLE timer ADD COLUMN calendar_version integer;
ALTER TABLE timer ADD COLUMN started_at timestamptz;  -- of a clock on duty time
ALTER TABLE timer ADD COLUMN provisional boolean NOT NULL DEFAULT false;
ALTER TABLE slot ADD COLUMN calendar_version integer;
ALTER TABLE slot ADD COLUMN provisional boolean NOT NULL DEFAULT false;

-- What a newer table may change: clocks that run, and misses. They are empty at first, so that
-- each is made by one look at its table.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX timer_reckoned ON timer (tenant_id, calendar_version)
WHERE calendar_version IS NOT NULL AND (outcome IS NULL OR (outcome = 'fired' AND kind = 'miss'));
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX slot_reckoned ON slot (tenant_id, calendar_version)
WHERE calendar_version IS NOT NULL
    AND (outcome IS NULL OR outcome IN ('missed', 'reported_late'));

-- migrate:down
-- Forward only.
