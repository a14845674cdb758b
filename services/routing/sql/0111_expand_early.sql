-- migrate:up
-- What a reporter adds to a case: its attachments; and records about cases that have yet to be
-- opened, as they came, which wait for their report.
-- Safe beside a running version: it only adds, and the old one names its columns.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

ALTER TABLE follow_up
ADD COLUMN attachments text [] NOT NULL DEFAULT '{}';

CREATE TABLE early_record (
    tenant_id     text NOT NULL,
    case_id       uuid NOT NULL,
    event_id      uuid NOT NULL,
    topic         text NOT NULL,
    partition     integer NOT NULL,
    record_offset bigint NOT NULL,
    at            timestamptz NOT NULL,
    record_key    bytea,
    headers       jsonb NOT NULL,
    body          bytea,
    PRIMARY KEY (tenant_id, case_id, event_id)
);
CREATE INDEX early_record_at ON early_record (at);

-- migrate:down
-- Forward only.
