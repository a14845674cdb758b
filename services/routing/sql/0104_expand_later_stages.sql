-- migrate:up
-- The whistle's later stages: rulings on refusals, arrivals by a clock of their own, calls to the
-- level above. Safe beside a running version: it only adds, and the old one names its columns.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE slot
ADD COLUMN arrive_due_at timestamptz,
ADD COLUMN proposed text,  -- whom the department named when it refused
ADD COLUMN ruling text;  -- what the arbiter made of that; NULL: nothing yet
ALTER TABLE slot ADD CONSTRAINT slot_ruling_check
CHECK (ruling IN ('accept', 'reject')) NOT VALID;
-- A refusal that was accepted stands.
ALTER TABLE slot ADD CONSTRAINT slot_accepted_check
CHECK (ruling IS NULL OR ruling <> 'accept' OR coalesce(outcome, '') = 'refused') NOT VALID;

CREATE TABLE upward_call (
    tenant_id   text NOT NULL,
    whistle_id  uuid NOT NULL,
    case_id     uuid NOT NULL,
    unit        text NOT NULL,  -- who is to answer
    called_at   timestamptz NOT NULL,
    due_at      timestamptz,  -- NULL: its clock cannot be told yet
    outcome     text CHECK (outcome IN ('answered', 'answered_late', 'missed')),
    answered_at timestamptz,
    PRIMARY KEY (tenant_id, whistle_id),
    -- Whoever answered has said when, and nobody else has.
    CHECK ((coalesce(outcome, '') IN ('answered', 'answered_late')) = (answered_at IS NOT NULL)),
    CHECK (outcome <> 'answered_late' OR answered_at > due_at)
);
CREATE INDEX upward_call_case ON upward_call (tenant_id, case_id);
-- A case has at most one call that is open; a unit's queue is found by it, too.
CREATE UNIQUE INDEX upward_call_open ON upward_call (tenant_id, case_id) WHERE answered_at IS NULL;

-- migrate:down
-- Forward only.
