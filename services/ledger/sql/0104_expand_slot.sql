-- migrate:up
-- Departments that were called to cases, for their sheets: a projection of the facts.
-- Safe beside a running version: it only adds. Whistles blown before are on no sheet.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE slot (
    tenant_id      text NOT NULL,
    whistle_id     uuid NOT NULL,
    department     text NOT NULL,
    case_id        uuid NOT NULL,
    called_at      timestamptz NOT NULL,
    counts_from    timestamptz NOT NULL,  -- called, or told by a ruling to come after all
    due_at         timestamptz,  -- NULL: its clock cannot be told yet
    reported_in_at timestamptz,
    outcome        text CHECK (
        outcome IN ('reported', 'reported_late', 'corrected', 'missed', 'refused', 'withdrawn')
    ),
    arrival_missed boolean NOT NULL,
    PRIMARY KEY (tenant_id, whistle_id, department)
);
CREATE INDEX slot_sheet ON slot (tenant_id, department, called_at, whistle_id);

-- migrate:down
-- Forward only.
