-- migrate:up
-- What the reporter may follow: a projection of routing.events. Safe beside a running version.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE track (
    tenant_id     text NOT NULL,
    case_id       uuid NOT NULL,
    tracking_code text NOT NULL,
    number        text NOT NULL,
    flow          text NOT NULL,
    state         text NOT NULL,
    owner_role    text NOT NULL,
    owner_unit    text NOT NULL,
    due_at        timestamptz,
    received_at   timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, case_id)
);
CREATE UNIQUE INDEX track_code ON track (tracking_code);

CREATE TABLE track_step (
    tenant_id text NOT NULL,
    case_id   uuid NOT NULL,
    seq       integer NOT NULL,
    step      text NOT NULL,
    role      text NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, case_id, seq)
);

-- migrate:down
-- Forward only.
