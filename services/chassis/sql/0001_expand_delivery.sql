-- migrate:up
-- What the chassis needs in each service's own database: the inbox, the outbox, what was set
-- aside, and how far each partition has been read. Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

CREATE TABLE inbox (
    tenant_id text NOT NULL,
    event_id  uuid NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, event_id)
);

CREATE TABLE quarantine (  -- keyed by place: an unreadable record has no tenant
    topic         text NOT NULL,
    partition     integer NOT NULL,
    record_offset bigint NOT NULL,
    at            timestamptz NOT NULL,
    record_key    bytea,
    headers       jsonb NOT NULL,
    body          bytea,
    state         text NOT NULL CHECK (state IN ('rejected', 'parked')),
    reason        text NOT NULL,
    PRIMARY KEY (topic, partition, record_offset)
);
CREATE INDEX quarantine_key ON quarantine (record_key);

CREATE TABLE processed_offset (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

CREATE TABLE outbox (
    lane       smallint NOT NULL CHECK (lane BETWEEN 0 AND 63),
    id         bigint GENERATED ALWAYS AS IDENTITY,
    topic      text NOT NULL,
    partition  integer,  -- NULL: by the key
    record_key bytea NOT NULL,
    headers    jsonb NOT NULL,
    body       bytea,  -- NULL: a tombstone
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (lane, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE outbox_parked (
    lane       smallint NOT NULL,
    id         bigint NOT NULL,
    topic      text NOT NULL,
    partition  integer,
    record_key bytea NOT NULL,
    headers    jsonb NOT NULL,
    body       bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (lane, id)
);
CREATE INDEX outbox_parked_key ON outbox_parked (record_key);

-- migrate:down
-- Forward only.
