-- migrate:up
-- How a record that was set aside comes back: an operator's correction beside the original, his
-- leave to be read again, and what he did. Safe beside a running version: it only adds.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE quarantine ADD COLUMN corrected_headers jsonb;  -- NULL: not corrected
ALTER TABLE quarantine ADD COLUMN corrected_body bytea;

CREATE TABLE quarantine_release (  -- a held key, or the place of a record without one
    release_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_key    bytea UNIQUE,
    topic         text,
    partition     integer,
    record_offset bigint,
    released_at   timestamptz NOT NULL DEFAULT now(),
    released_by   text NOT NULL,
    next_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic, partition, record_offset),
    CHECK ((record_key IS NULL) = (record_offset IS NOT NULL))
);

CREATE TABLE quarantine_act (  -- kept for good; the original, where it cannot be read again
    act_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                timestamptz NOT NULL DEFAULT now(),
    act               text NOT NULL CHECK (act IN ('fixed', 'replayed', 'dropped', 'resent')),
    done_by           text NOT NULL,
    why               text NOT NULL,
    topic             text NOT NULL,
    partition         integer,
    record_offset     bigint,
    record_key        bytea,
    headers           jsonb,
    body              bytea,
    corrected_headers jsonb,
    corrected_body    bytea
);
CREATE INDEX quarantine_act_place ON quarantine_act (topic, partition, record_offset);

-- migrate:down
-- Forward only.
