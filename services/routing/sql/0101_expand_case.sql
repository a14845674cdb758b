-- migrate:up
-- Cases with their facts, clocks and numbers. Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE cases (
    tenant_id       text NOT NULL,
    case_id         uuid NOT NULL,
    number          text NOT NULL,
    profile_version integer NOT NULL,
    flow            text NOT NULL,
    category        text NOT NULL,
    severity        text NOT NULL,
    class           text NOT NULL,
    grid            text,
    village         text,
    placed_by       text,
    fallback        text,
    front_end       text NOT NULL,
    state           text NOT NULL,
    owner_unit      text NOT NULL,  -- somebody always answers: a role, and a person where rostered
    owner_role      text NOT NULL,
    owner_staff     text,
    received_at     timestamptz NOT NULL,
    seq             integer NOT NULL,
    human_seq       integer NOT NULL,
    closed          boolean NOT NULL,
    accepted        boolean NOT NULL,
    done            jsonb NOT NULL,  -- [[step, staff], …]
    running         jsonb NOT NULL,  -- deadlines whose clocks run
    location        jsonb NOT NULL,
    sealed          jsonb NOT NULL,
    why             jsonb NOT NULL,
    PRIMARY KEY (tenant_id, case_id),
    UNIQUE (tenant_id, number),
    CHECK (grid IS NOT NULL OR fallback IS NOT NULL)
);
CREATE INDEX cases_queue ON cases (tenant_id, owner_unit, received_at) WHERE NOT closed;

CREATE TABLE case_fact (
    tenant_id   text NOT NULL,
    case_id     uuid NOT NULL,
    seq         integer NOT NULL,
    event_id    uuid NOT NULL,
    type        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    body        jsonb NOT NULL,
    PRIMARY KEY (tenant_id, case_id, seq)
);

CREATE TABLE timer (
    tenant_id      text NOT NULL,
    timer_id       bigint GENERATED ALWAYS AS IDENTITY,
    case_id        uuid NOT NULL,
    deadline       text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('warn', 'miss')),
    fires_at       timestamptz,  -- NULL: unarmed, its clock cannot be told yet
    due_at         timestamptz,
    gate_partition smallint NOT NULL,  -- what was handed in for this case lies there
    outcome        text CHECK (outcome IN ('fired', 'void')),
    decided_at     timestamptz,
    PRIMARY KEY (tenant_id, timer_id),
    CHECK ((outcome IS NULL) = (decided_at IS NULL)),
    CHECK ((fires_at IS NULL) = (due_at IS NULL))
);
CREATE INDEX timer_due ON timer (fires_at, timer_id) WHERE outcome IS NULL;
CREATE INDEX timer_due_tenant ON timer (tenant_id, fires_at, timer_id) WHERE outcome IS NULL;
-- One open timer for each clock of a case.
CREATE UNIQUE INDEX timer_open ON timer (tenant_id, case_id, deadline, kind) WHERE outcome IS NULL;

CREATE TABLE case_counter (
    tenant_id text NOT NULL,
    day       date NOT NULL,
    last      integer NOT NULL,
    PRIMARY KEY (tenant_id, day)
);

CREATE TABLE follow_up (
    tenant_id    text NOT NULL,
    follow_up_id uuid NOT NULL,
    case_id      uuid NOT NULL,
    reason       text NOT NULL,
    received_at  timestamptz NOT NULL,
    sealed       jsonb NOT NULL,
    PRIMARY KEY (tenant_id, follow_up_id)
);
CREATE INDEX follow_up_case ON follow_up (tenant_id, case_id);

-- Only development has virtual clocks: the timers' query asks for them each time. The table is new
-- in the same release, so nobody waits for it.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX registry_copy_clock ON registry_copy (tenant_id) WHERE kind = 'clock';

-- migrate:down
-- Forward only.
