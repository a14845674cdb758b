-- migrate:up
-- Who else has a case, who is called to it, to whom it is offered, and hand-over sheets. Safe
-- beside a running version: the old one neither reads nor writes any of it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE cases
ADD COLUMN joint jsonb NOT NULL DEFAULT '[]',  -- assigned beside the owner: [[unit, role, staff], …]
ADD COLUMN first_asked text,  -- who took it on when he was asked
ADD COLUMN open_call jsonb;  -- [reason, number, [[unit, role, staff], …], due_at or null]

CREATE TABLE transfer (
    tenant_id   text NOT NULL,
    transfer_id uuid NOT NULL,
    case_id     uuid NOT NULL,
    owner_unit  text NOT NULL,
    owner_role  text NOT NULL,
    owner_staff text,
    to_unit     text NOT NULL,
    to_role     text NOT NULL,
    to_staff    text,
    offered_at  timestamptz NOT NULL,
    -- moot: the case went on to somebody else meanwhile, or has closed
    outcome     text CHECK (outcome IN ('taken', 'declined', 'withdrawn', 'moot')),
    PRIMARY KEY (tenant_id, transfer_id)
);
-- A case is offered to at most one at a time.
CREATE UNIQUE INDEX transfer_open ON transfer (tenant_id, case_id) WHERE outcome IS NULL;
CREATE INDEX transfer_queue ON transfer (tenant_id, to_unit, offered_at) WHERE outcome IS NULL;

CREATE TABLE handover (
    tenant_id   text NOT NULL,
    handover_id uuid NOT NULL,
    case_id     uuid NOT NULL,
    unit        text NOT NULL,
    owner_unit  text NOT NULL,
    owner_role  text NOT NULL,
    owner_staff text,
    filed_at    timestamptz NOT NULL,
    due_at      timestamptz NOT NULL,
    received_at timestamptz,
    received_by text,
    PRIMARY KEY (tenant_id, handover_id),
    UNIQUE (tenant_id, case_id),  -- one sheet a case: it is filed when it opens
    CHECK ((received_at IS NULL) = (received_by IS NULL))
);
CREATE INDEX handover_queue ON handover (tenant_id, unit, filed_at) WHERE received_at IS NULL;

-- migrate:down
-- Forward only.
