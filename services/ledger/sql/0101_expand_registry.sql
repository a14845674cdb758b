-- migrate:up
-- The registry, one row per version of a record, never changed; and the cases' facts as they came.
-- Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE change_set (
    tenant_id     text NOT NULL,
    change_set_id text NOT NULL,
    recorded_by   text NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_from    timestamptz NOT NULL,
    entries       integer NOT NULL,
    PRIMARY KEY (tenant_id, change_set_id)
);

CREATE TABLE registry_record (
    tenant_id     text NOT NULL,
    kind          text NOT NULL,
    record_id     text NOT NULL,
    version       integer NOT NULL,
    body          jsonb,  -- NULL: removed
    change_set_id text NOT NULL,
    valid_from    timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, kind, record_id, version),
    FOREIGN KEY (tenant_id, change_set_id) REFERENCES change_set (tenant_id, change_set_id)
);

CREATE TABLE case_ledger (
    tenant_id     text NOT NULL,
    event_id      uuid NOT NULL,
    topic         text NOT NULL,
    partition     integer NOT NULL,
    record_offset bigint NOT NULL,
    at            timestamptz NOT NULL,  -- the broker's time
    type          text NOT NULL,
    subject       text NOT NULL,
    seq           integer NOT NULL,
    occurred_at   text NOT NULL,
    headers       jsonb NOT NULL,
    body          bytea,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX case_ledger_subject ON case_ledger (tenant_id, subject, topic, seq);

CREATE TABLE case_now (  -- for counts: a projection of the facts
    tenant_id  text NOT NULL,
    case_id    uuid NOT NULL,
    number     text NOT NULL,
    grid       text,
    village    text,
    fallback   text,
    category   text NOT NULL,
    class      text NOT NULL,
    state      text NOT NULL,
    owner_unit text NOT NULL,
    owner_role text NOT NULL,
    closed     boolean NOT NULL,
    late       boolean NOT NULL,
    PRIMARY KEY (tenant_id, case_id)
);

-- migrate:down
-- Forward only.
