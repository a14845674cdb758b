-- migrate:up
-- What notify knows of each department's part in a whistle, and which messages hang from it.
-- Safe beside a running version: the old one neither reads nor writes any of it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE slot (
    tenant_id  text NOT NULL,
    whistle_id uuid NOT NULL,
    department text NOT NULL,
    case_id    uuid NOT NULL,
    state      text NOT NULL CHECK (state IN ('called', 'missed', 'over')),
    due_at     timestamptz,  -- NULL: its clock cannot be told yet
    told_at    timestamptz,  -- tenant's time at which its miss was last told of
    PRIMARY KEY (tenant_id, whistle_id, department)
);
CREATE INDEX slot_case ON slot (tenant_id, case_id);

ALTER TABLE intent
ADD COLUMN whistle_id uuid,  -- with the department: void once that slot is over
ADD COLUMN department text;

ALTER TABLE attempt
ADD COLUMN crossed boolean NOT NULL DEFAULT false;  -- under way when its slot was over

-- migrate:down
-- Forward only.
