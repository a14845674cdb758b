-- migrate:up
-- Whistles and the departments they name. Safe beside a running version: the old one never arms
-- a rung, and never reads these tables.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE slot (
    tenant_id      text NOT NULL,
    whistle_id     uuid NOT NULL,
    department     text NOT NULL,
    case_id        uuid NOT NULL,
    lead           boolean NOT NULL,
    blown_at       timestamptz NOT NULL,
    due_at         timestamptz,  -- NULL: its clock cannot be told yet
    outcome        text CHECK (
        outcome IN ('reported', 'reported_late', 'corrected', 'missed', 'refused', 'withdrawn')
    ),
    means          text,
    reported_in_at timestamptz,
    arrived_at     timestamptz,
    released_at    timestamptz,
    PRIMARY KEY (tenant_id, whistle_id, department),
    -- Whoever came has said when, and nobody else has.
    CHECK (
        (coalesce(outcome, '') IN ('reported', 'reported_late', 'corrected'))
        = (reported_in_at IS NOT NULL)
    ),
    CHECK (outcome <> 'reported_late' OR reported_in_at > due_at),
    CHECK (outcome <> 'corrected' OR reported_in_at <= due_at),
    CHECK (arrived_at IS NULL OR reported_in_at IS NOT NULL),
    CHECK (released_at IS NULL OR reported_in_at IS NOT NULL)
);
CREATE INDEX slot_case ON slot (tenant_id, case_id);
-- A department has at most one open part in a case.
CREATE UNIQUE INDEX slot_open ON slot (tenant_id, case_id, department)
WHERE released_at IS NULL AND (outcome IS NULL OR outcome NOT IN ('refused', 'withdrawn'));

-- It comes back wider in the same transaction.
-- squawk-ignore ban-drop-constraint
ALTER TABLE timer DROP CONSTRAINT timer_kind_check;
ALTER TABLE timer ADD CONSTRAINT timer_kind_check
CHECK (kind IN ('warn', 'miss', 'rung')) NOT VALID;

-- migrate:down
-- Forward only.
