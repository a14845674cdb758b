-- migrate:up
-- The board: a projection of routing.events. No names, no descriptions. Safe beside a running
-- version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE board_case (
    tenant_id       text NOT NULL,
    case_id         uuid NOT NULL,
    number          text NOT NULL,
    profile_version integer NOT NULL,
    flow            text NOT NULL,
    category        text NOT NULL,
    class           text NOT NULL,
    severity        text NOT NULL,
    grid            text,
    village         text,
    state           text NOT NULL,
    owner_unit      text NOT NULL,
    owner_role      text NOT NULL,
    received_at     timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL,
    seq             integer NOT NULL,
    accepted        boolean NOT NULL,
    closed_at       timestamptz,  -- NULL: open
    clocks          jsonb NOT NULL,  -- {deadline: [kind, due_at, soon_at]}, those that run
    deadline        text,  -- the clock that strikes first, with its kind and moments
    clock           text CHECK (clock IN ('calendar', 'duty')),
    due_at          timestamptz,
    soon_at         timestamptz,
    PRIMARY KEY (tenant_id, case_id)
);
CREATE INDEX board_case_open ON board_case (tenant_id, received_at) WHERE closed_at IS NULL;
CREATE INDEX board_case_received ON board_case (tenant_id, received_at);
CREATE INDEX board_case_closed ON board_case (tenant_id, closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE board_act (  -- the last of what happened; older ones are removed
    tenant_id text NOT NULL,
    case_id   uuid NOT NULL,
    at        timestamptz NOT NULL,  -- the facts of one act are of one moment
    kind      text NOT NULL,
    step      text,
    unit      text,
    role      text,
    to_unit   text,
    to_role   text,
    satisfied boolean,
    ended     text,
    PRIMARY KEY (tenant_id, case_id, at)
);
CREATE INDEX board_act_newest ON board_act (tenant_id, at, case_id);

CREATE TABLE board_version (  -- one more with each batch: tells that a town's board has changed
    tenant_id text PRIMARY KEY,
    version   bigint NOT NULL,
    fact_at   timestamptz NOT NULL
);

-- migrate:down
-- Forward only.
