-- migrate:up
-- By which code a text names its slot, whom such texts went to, and what was answered.
-- Safe beside a running version: the old one neither reads nor writes any of it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE slot
ADD COLUMN code text;  -- NULL: called before there were codes

CREATE TABLE slot_counter (
    tenant_id text PRIMARY KEY,
    last      bigint NOT NULL
);

CREATE TABLE texted (  -- a number is kept as a digest
    phone_digest text NOT NULL,
    tenant_id    text NOT NULL,
    whistle_id   uuid NOT NULL,
    department   text NOT NULL,
    staff        text NOT NULL,
    case_id      uuid NOT NULL,
    texted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (phone_digest, tenant_id, whistle_id, department, staff)
);

CREATE TABLE reply (  -- what was said is not kept
    provider     text NOT NULL,
    phone_digest text NOT NULL,
    sequence_id  text NOT NULL,
    answered     boolean NOT NULL DEFAULT false,
    received_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, phone_digest, sequence_id)
);

-- migrate:down
-- Forward only.
